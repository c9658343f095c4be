// Asks the npm package itself about the pictures beside this file, and writes answers.json: what tests hold ours to.
//
//     npm install --no-save nsfwjs@4.4.0 @tensorflow/tfjs@4.22.0 pngjs@7.0.0     (in an empty folder with this file's copy)
//     node answers.mjs FOLDER_WITH_THE_PICTURES
import fs from 'node:fs';
import path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import * as nsfwjs from 'nsfwjs';
import { PNG } from 'pngjs';

// The features that the last layer stands on.
const FEATURES = `${'StatefulPartitionedCall/sequential/keras_layer/' + 'StatefulPartitionedCall/'.repeat(3)}predict/feature_vector/SpatialSqueeze`;
const folder = process.argv[2];
const classes = { Drawing: 'drawings', Hentai: 'hentai', Neutral: 'neutral', Porn: 'porn', Sexy: 'sexy' };
await tf.setBackend('cpu');
const model = await nsfwjs.load('MobileNetV2Mid');
const found = {};
for (const name of fs.readdirSync(folder).filter((one) => one.endsWith('.png')).sort()) {
  const { width, height, data } = PNG.sync.read(fs.readFileSync(path.join(folder, name)));
  const pixels = tf.tensor3d(data.filter((_, n) => n % 4 !== 3), [height, width, 3], 'int32');
  const said = Object.fromEntries((await model.classify(pixels, 5)).map((one) => [classes[one.className], one.probability]));
  found[name] = Object.fromEntries(Object.values(classes).map((one) => [one, said[one]]));
  const ready = tf.image.resizeBilinear(pixels.toFloat().div(255), [224, 224], true).expandDims(0);
  const features = model.model.execute(ready, FEATURES).dataSync();
  found[name].features = [...features.filter((_, n) => n % 64 === 0)]; // 28 of the 1,792
}
fs.writeFileSync(path.join(folder, 'answers.json'), JSON.stringify(found) + '\n');
