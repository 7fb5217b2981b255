// Python for a live page, in a worker. live/python.js starts it and gives the orders, one at a time:
//   { start: { python, wheels, glue, interrupt } }   load Python, its packages and the wheels of the site
//   { run: { source, name } }                        run a cell
//   { check: { lesson, number, exercise, answer } }  check an answer to an exercise
//   { clear: true }                                  forget the names that the cells have defined
// It answers with { bytes } and { loaded } while it starts, { line, stream }, { figure, alt } and { claims } while Python runs, and
// at the end of each order with { ended }, or with { fatal } if Python cannot go on.
const PACKAGES = ["numpy", "pillow", "matplotlib"];
let glue;
let loaded = 0;
let told = 0;

// Count the bytes of what is fetched. The type of .wasm files is set here, since Python never starts if a server sends
// another one.
const plainFetch = self.fetch.bind(self);
self.fetch = async function countingFetch(resource, options) {
  const answer = await plainFetch(resource, options);
  if (!answer.ok || !answer.body) return answer;
  const headers = new Headers(answer.headers);
  if (/\.wasm$/.test(new URL(answer.url).pathname)) headers.set("content-type", "application/wasm");
  const counter = new TransformStream({
    transform(piece, stream) {
      count(piece.byteLength);
      stream.enqueue(piece);
    },
  });
  return new Response(answer.body.pipeThrough(counter), { status: answer.status, headers });
};

function count(bytes) {
  loaded += bytes;
  if (loaded - told < 100_000) return;
  told = loaded;
  postMessage({ bytes: loaded });
}

async function start({ python, wheels, glue: address, interrupt }) {
  importScripts(`${python}pyodide.js`);
  const pyodide = await loadPyodide({
    indexURL: python,
    packages: [...PACKAGES, ...wheels],
    env: { MPLBACKEND: "Agg", HOME: "/home/pyodide" },
    stdin: () => null, // input() meets the end of the file
  });
  postMessage({ loaded: true });
  pyodide.setStdout({ batched: (line) => postMessage({ line, stream: "stdout" }) });
  pyodide.setStderr({ batched: (line) => postMessage({ line, stream: "stderr" }) });
  pyodide.registerJsModule("live_page", {
    figure: (png, alt) => postMessage({ figure: png, alt }, [png.buffer]),
    claims: (rows) => postMessage({ claims: JSON.parse(rows) }),
  });
  const source = await (await fetch(address)).text();
  glue = pyodide.runPython(`${source}\nGlue()`, { globals: pyodide.toPy({ __name__: "live_glue" }) });
  if (interrupt) pyodide.setInterruptBuffer(interrupt);
  return {};
}

function ended(answer) {
  const plain = answer.toJs({ dict_converter: Object.fromEntries });
  answer.destroy();
  return plain;
}

async function obey(order) {
  if (order.start) return start(order.start);
  if (order.clear) return ended(glue.clear());
  if (order.run) return ended(glue.run(order.run.source, order.run.name));
  const { lesson, number, exercise, answer } = order.check;
  return ended(glue.check(lesson, number, exercise, answer));
}

onmessage = async ({ data }) => {
  try {
    postMessage({ ended: await obey(data) });
  } catch (error) {
    const lines = String(error.message ?? error).trim().split("\n");
    console.warn(lines.join("\n")); // for whoever looks for the cause
    postMessage({ fatal: lines.pop() });
  }
};
