// node still.js NAME < NAME.json: the still picture of a figure, as a page shows it without JavaScript.
import fs from "node:fs";

const [name] = process.argv.slice(2);
const { still } = await import(`./${name}.js`);
process.stdout.write(still(JSON.parse(fs.readFileSync(0, "utf8")), 360));
