// node play_numbers.mjs PLAY_FOLDER < settings.json: what the figures' own arithmetic gives for many settings, as JSON.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const module = name => import(pathToFileURL(path.resolve(process.argv[2], name)));
const { walk } = await module("geometry.js");
const { spread } = await module("upsampling.js");
const { confusion, metrics } = await module("metrics.js");
const { nodesOf } = await module("receptive-field-numbers.js");

const ways = {
  network: ({ state, data }) =>
    mapsOf(walk(nodesOf(state, data), state.network === "own" ? state.own.image : state.image)),
  spread: ({ row, kernel, stride, padding }) => spread(row, kernel, stride, padding),
  metrics: ({ truth, prediction, classes, ignore }) => {
    const matrix = confusion(truth, prediction, classes, ignore);
    return { matrix, ...metrics(matrix) };
  },
};

function mapsOf({ maps, crops, problem }) {
  const rows = Object.entries(maps).map(([name, { cells, grid }]) => [
    name,
    [cells, grid.size, grid.stride, grid.start],
  ]);
  return { maps: Object.fromEntries(rows), crops: crops.map(({ name, offset }) => [name, offset]), problem };
}

const settings = JSON.parse(fs.readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(settings.map(({ way, ...setting }) => ways[way](setting))));
