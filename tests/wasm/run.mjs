// Runs lessons or tests of this checkout in Pyodide, which is CPython compiled to 32-bit WebAssembly, inside Node.
//
//   node tests/wasm/run.mjs lesson 07          one lesson's script, with its seconds
//   node tests/wasm/run.mjs lesson 06 07       several, each in a runtime of its own
//   node tests/wasm/run.mjs record 07          the same, and write its seconds to docs/builder/browser_seconds.json
//   node tests/wasm/run.mjs tests ops layers   some of the tests; the words are paths in tests/
//   node tests/wasm/run.mjs tests ops -k pool  words from the first "-" on go to pytest
//
// FCN_PYODIDE     the folder with pyodide.mjs and the packages. Default: ../shared/pyodide beside the checkout
// FCN_PACKAGES    the folder with pytest and tqdm. Default: that of the command `python`
//
// A lesson's seconds are the processor time of its script: without the start of the runtime, and hardly changed by other
// programs on the machine. On a quiet machine they are the seconds that a reader waits.
// Files are copied into the runtime's memory. So nothing in the checkout can change.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
const CHECKOUT = resolve(HERE, "../..");
const PROJECT = "/project"; // the checkout's copy in the runtime
const PACKAGES = "/packages";
const SECONDS = join(CHECKOUT, "docs/builder/browser_seconds.json");
const COPIED = ["fcn_from_scratch", "lessons", "data", "tests", "setup.cfg", "pyproject.toml"];
const PURE = ["tqdm"];
const FOR_TESTS = ["pytest", "_pytest", "pluggy", "iniconfig", "pygments", "py.py"];

/** Copy a file or a folder into the runtime's memory, without what other Pythons compiled. */
function copy(FS, from, to) {
  const entries = readdirSync(dirname(from), { withFileTypes: true });
  const entry = entries.find((each) => join(dirname(from), each.name) === from);
  if (!entry) throw new Error(`${from} is missing`);
  if (entry.isFile()) {
    if (!/\.(pyc|so)$/.test(from)) FS.writeFile(to, readFileSync(from));
  } else if (entry.isDirectory() && entry.name !== "__pycache__") {
    FS.mkdirTree(to);
    for (const name of readdirSync(from)) copy(FS, join(from, name), join(to, name));
  }
}

function runtimeFolder() {
  const folder = process.env.FCN_PYODIDE ?? join(CHECKOUT, "../shared/pyodide");
  if (existsSync(join(folder, "pyodide.mjs"))) return resolve(folder);
  throw new Error(`${folder} holds no pyodide.mjs. Name the folder of the runtime in FCN_PYODIDE`);
}

function packagesFolder() {
  const code = "import sysconfig; print(sysconfig.get_path('purelib'))";
  return process.env.FCN_PACKAGES ?? execFileSync("python", ["-c", code], { encoding: "utf-8" }).trim();
}

/** A fresh runtime with NumPy, Pillow, Matplotlib, tqdm and the checkout. */
async function start(pure) {
  const folder = runtimeFolder();
  const { loadPyodide } = await import(pathToFileURL(join(folder, "pyodide.mjs")));
  const python = await loadPyodide({ indexURL: folder });
  await python.loadPackage(["numpy", "pillow", "matplotlib"], { messageCallback: () => {} });
  python.setStdout({ batched: (line) => console.log(line) });
  python.setStderr({ batched: (line) => console.error(line) });
  for (const name of pure) copy(python.FS, join(packagesFolder(), name), join(PACKAGES, name));
  python.FS.mkdirTree(PROJECT);
  for (const name of COPIED) copy(python.FS, join(CHECKOUT, name), join(PROJECT, name));
  python.runPython(readFileSync(join(HERE, "inside.py"), "utf-8"));
  return python;
}

/** Call a function of inside.py, which takes strings and returns an exit status. */
function call(python, name, words) {
  return python.globals.get(name)(python.toPy(words));
}

/** Run a lesson in a runtime of its own. Returns: [exit status, name, seconds of processor time]. */
async function lesson(number) {
  const began = performance.now();
  const python = await start(PURE);
  console.log(`runtime ready after ${((performance.now() - began) / 1000).toFixed(1)} s`);
  const before = process.cpuUsage();
  const status = call(python, "run_lesson", [number]);
  const used = process.cpuUsage(before);
  const seconds = (used.user + used.system) / 1e6;
  const [name] = readdirSync(join(CHECKOUT, "lessons")).filter((file) => file.startsWith(`lesson_${number}_`));
  console.log(`processor time ${seconds.toFixed(1)} s`);
  return [status, name.replace(".py", ""), seconds];
}

/** Put a lesson's seconds into the table. */
function record(name, seconds) {
  const table = { ...JSON.parse(readFileSync(SECONDS, "utf-8")), [name]: Math.ceil(seconds) };
  const sorted = Object.fromEntries(Object.entries(table).sort());
  writeFileSync(SECONDS, `${JSON.stringify(sorted, null, 2)}\n`);
}

async function main([command, ...words]) {
  if (command === "tests") return call(await start([...PURE, ...FOR_TESTS]), "run_tests", words);
  if (command !== "lesson" && command !== "record") {
    throw new Error("usage: node run.mjs lesson NUMBER... | record NUMBER... | tests PATH... [PYTEST'S OPTIONS]");
  }
  let worst = 0;
  for (const number of words) {
    const [status, name, seconds] = await lesson(number);
    if (command === "record" && status === 0) record(name, seconds);
    worst = Math.max(worst, status);
  }
  return worst;
}

main(process.argv.slice(2)).then((status) => process.exit(status)).catch((error) => {
  console.error(String(error.message ?? error).trim());
  process.exit(3);
});
