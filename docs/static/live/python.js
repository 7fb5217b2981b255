// Python in a web worker, as the page sees it: one order at a time, and an end by force.

// Starts a worker. `hear` gets its messages while an order is carried out, as live-worker.js lists them.
export function startPython(files, config, hear) {
  const folder = new URL("live/", files);
  // Only an isolated page may share memory with its worker. Then Python can be interrupted and keeps its names.
  const interrupt = self.crossOriginIsolated ? new Uint8Array(new SharedArrayBuffer(1)) : null;
  const worker = new Worker(new URL("live-worker.js", files));
  let finish = null;

  function settle(result) {
    const done = finish;
    finish = null;
    done?.(result);
  }

  worker.onmessage = ({ data }) => {
    if ("ended" in data) settle(data.ended);
    else if ("fatal" in data) settle({ fatal: data.fatal });
    else hear(data);
  };
  worker.onerror = (event) => settle({ fatal: event.message || "the worker could not be started" });

  // Resolves with what came of the order: { error, traceback, interrupted }, { message }, { fatal }, { ended } or {}.
  function order(message) {
    if (interrupt) interrupt[0] = 0;
    return new Promise((resolve) => {
      finish = resolve;
      worker.postMessage(message);
    });
  }

  // Asks the running code to stop, as Ctrl+C does. False if this page has no way to ask.
  function ask() {
    if (interrupt) interrupt[0] = 2;
    return interrupt !== null;
  }

  function end() {
    worker.terminate();
    settle({ terminated: true });
  }

  const ready = order({
    start: {
      python: new URL(config.pyodide, folder).href,
      wheels: config.wheels.map((wheel) => new URL(wheel, folder).href),
      glue: new URL("live-worker.py", files).href,
      interrupt,
    },
  });
  return { ready, order, ask, end };
}
