<?php
// What a plain MediaWiki lacks of Commons, for the tests' LocalSettings: licence metadata, structured data, a converter
// for drawings, and switches (files in $switches) that make it lag, refuse, or answer in small parts.

function curateTable( $name ) {
	global $switches;
	$file = "$switches/$name.json";
	return is_file( $file ) ? json_decode( file_get_contents( $file ), true ) : [];
}

function curateOn( $name ) {
	global $switches;
	return is_file( "$switches/$name" );
}

function curateDraw( $src, $dst, $width, $height ) {
	if ( strpos( file_get_contents( $src ), 'broken' ) !== false ) {
		return 'cannot be drawn';
	}
	$image = imagecreatetruecolor( (int)$width, (int)$height );
	imagefilledrectangle( $image, 0, 0, (int)( $width / 2 ), (int)$height, imagecolorallocate( $image, 200, 30, 30 ) );
	imagepng( $image, $dst );
	return false; // no error
}

// CommonsMetadata: extmetadata from the description page.
$wgHooks['GetExtendedMetadata'][] = static function ( &$meta, $file ) {
	$all = curateTable( 'metadata' );
	$fields = $all[$file->getTitle()->getText()] ?? $all['*'] ?? [];
	foreach ( $fields as $name => $value ) {
		$meta[$name] = [ 'value' => $value, 'source' => 'commons-desc-page' ];
	}
};

$wgHooks['ApiMaxLagInfo'][] = static function ( &$lag ) {
	if ( curateOn( 'lag' ) ) {
		$lag = [ 'host' => 'db1', 'lag' => 9.0, 'type' => 'db' ];
	}
};

$wgHooks['ApiCheckCanExecute'][] = static function ( $module, $user, &$message ) {
	if ( curateOn( 'ratelimit' ) ) {
		$message = ApiMessage::create( 'apierror-ratelimited', 'ratelimited' );
		return false;
	}
	return true;
};

if ( curateOn( 'small' ) ) {
	$wgAPIMaxResultSize = 1600;
}

// WikibaseMediaInfo: statements of a file, where `depicts.json` says that the wiki has them.
if ( curateOn( 'depicts.json' ) ) {
	class CurateEntities extends ApiBase {
		public function execute() {
			$all = curateTable( 'depicts' );
			$params = $this->extractRequestParams();
			foreach ( $params['ids'] as $id ) {
				$found = $all[substr( $id, 1 )] ?? null;
				$entity = [ 'id' => $id ];
				if ( $found === null ) {
					$entity['missing'] = '';
				} else {
					$entity['labels'] = $found['labels'] ?? [];
					$entity['statements'] = $found['statements'] ?? [];
				}
				$this->getResult()->addValue( 'entities', $id, $entity );
			}
		}

		public function getAllowedParams() {
			return [
				'ids' => [ ApiBase::PARAM_ISMULTI => true, ApiBase::PARAM_REQUIRED => true ],
				'props' => [ ApiBase::PARAM_ISMULTI => true, ApiBase::PARAM_TYPE => [ 'labels', 'claims' ] ],
			];
		}
	}
	$wgAPIModules['wbgetentities'] = CurateEntities::class;
	$wgExtensionCredits['wikibase'][] = [ 'name' => 'WikibaseMediaInfo', 'path' => __FILE__ ];
}
