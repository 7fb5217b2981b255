// A lesson that runs where it is read: its cells in order, its exercises, one Python, one status.
import { makeBar } from "./bar.js";
import { makeCell } from "./cell.js";
import { makeChoice, makeEdits } from "./edits.js";
import { makeExercises } from "./exercises.js";
import { startPython } from "./python.js";

const PATIENCE = 10; // seconds between asking Python to stop and ending it by force

export async function openLive({ button, files, config, lesson }) {
  const bar = makeBar({ onAll: runAll, onInterrupt: () => interrupt(), onBack: back });
  const boxes = [...document.querySelectorAll("div.cell")].filter((box) => box.querySelector(".cell_input pre"));
  const recordedClaims = document.querySelectorAll("div.cell_output ul.claims li").length;
  const claims = lesson.claims ?? recordedClaims;
  const cells = boxes.map((box, index) => makeCell(box, index, { onRun: runTo, onEdit: edited }));
  let exercises = [];
  let edits = null;
  let choice = null;
  let isKept = true; // whether the browser keeps the reader's edits
  let python = null;
  let listener = null; // who gets what Python prints and draws
  let turns = Promise.resolve(); // the work that was asked for, one after the other
  let round = 0; // work of an earlier round is dropped
  let busy = false;
  let stopping = null; // { reason } while the running code is being stopped
  let closed = false;

  button.hidden = true;
  document.body.classList.add("live");
  (button.closest("p") ?? button).after(bar.box);
  bar.focus();
  exercises = await makeExercises({ files, lesson, limit: config.limit, onCheck: check, onEdit: keep });
  offerEdits();
  start(lesson.long ? "Python is ready. Run the cells one by one, or all." : "Python is ready.");
  if (!lesson.long) runAll();

  // --- Python ---------------------------------------------------------------------------------------------------

  async function start(said) {
    const started = startPython(files, config, hear);
    python = started;
    bar.loading(config.bytes);
    const outcome = await started.ready;
    if (outcome.fatal) fail(outcome.fatal);
    else if (!outcome.terminated) bar.say(said);
  }

  function fail(reason) {
    python.end();
    python = null;
    bar.say(`Python could not go on: ${reason}. Reload the page to try again.`);
  }

  function hear(message) {
    if ("bytes" in message) return bar.progress(message.bytes, config.bytes);
    if ("loaded" in message) return bar.loaded();
    if ("line" in message) return listener?.line(message.line, message.stream);
    if ("figure" in message) return listener?.figure(message.figure, message.alt);
    if ("claims" in message) return listener?.box(message.claims);
  }

  // One order to Python, while nothing else runs. `to` gets the output.
  async function obey(message, to) {
    listener = to;
    const outcome = await python.order(message);
    listener = null;
    return outcome;
  }

  // Does `work` as soon as Python is ready and nothing else is done.
  function inTurn(work) {
    const asked = round;
    const turn = async () => {
      await python?.ready;
      if (!python || closed || asked !== round) return;
      busy = true;
      bar.busy(true);
      await work();
      busy = false;
      stopping = null;
      bar.busy(false);
    };
    turns = turns.then(turn).catch((error) => bar.say(`This page has a mistake: ${error.message}`));
    return turns;
  }

  // What waits for its turn is dropped, after an error and after an interruption.
  function dropWaiting() {
    round += 1;
  }

  // Where the page may not ask Python to stop, the worker is ended and a new one started: the names are lost.
  async function interrupt(reason = "Interrupted.") {
    if (!busy || stopping) return;
    dropWaiting();
    const mine = { reason };
    stopping = mine;
    if (python.ask()) {
      await new Promise((wait) => setTimeout(wait, PATIENCE * 1000));
      if (stopping !== mine) return; // it has stopped
    }
    python.end();
    forget();
    start(`${reason} Python has been started again: its variables are lost, and the cells have to run again.`);
  }

  function forget() {
    for (const cell of cells) cell.isOld("Python was started again, so this output is old. Press Run all to renew it.");
  }

  // --- edits ----------------------------------------------------------------------------------------------------

  function offerEdits() {
    edits = makeEdits(lesson.stem, [...cells, ...exercises]);
    choice = makeChoice(edits, (said) => {
      bar.focus();
      bar.say(said);
    });
    if (choice) bar.box.before(choice);
  }

  function keep(part) {
    if (edits) isKept = edits.keep(part);
  }

  function edited(index) {
    keep(cells[index]);
    cells[index].isChanged();
    makeOld(index + 1, `Cell ${index + 1} above has changed`);
  }

  // --- cells ----------------------------------------------------------------------------------------------------

  // The cells from `first` on may use what a cell above them defines.
  function makeOld(first, reason) {
    for (const cell of cells.slice(first)) cell.isOld(`${reason}, so this output may be old. Press Run all to renew it.`);
  }

  function runAll() {
    if (busy) return null;
    return inTurn(async () => {
      if (cells.every((cell) => cell.done)) {
        await obey({ clear: true });
        makeOld(0, "All cells are run again");
      }
      await runCells(cells.length - 1);
    });
  }

  // A cell, and those before it that have not run. What comes after it has to run again.
  function runTo(last) {
    return inTurn(async () => {
      cells[last].isOld("");
      makeOld(last + 1, `Cell ${last + 1} above has run again`);
      await runCells(last);
    });
  }

  async function runCells(last) {
    const first = cells.findIndex((cell) => !cell.done);
    for (let index = first; index >= 0 && index <= last && !closed; index++) {
      bar.running(`Running cell ${index + 1} of ${cells.length}. ${held()} of ${claims} claims hold so far.`);
      const problem = await runCell(cells[index], cells[index - 1]?.done ?? true);
      if (problem) {
        dropWaiting();
        makeOld(index + 1, `Cell ${index + 1} above did not run to its end`);
        return bar.say(problem, cells[index].id);
      }
    }
    if (!closed) bar.say(summary());
  }

  // Returns what went wrong, in a sentence, or nothing.
  async function runCell(cell, afterAllBefore) {
    const edited = cell.begin();
    const outcome = await obey({ run: { source: cell.text(), name: cell.name } }, cell);
    if (outcome.terminated) {
      cell.end(null, "Interrupted.");
      return "Interrupted.";
    }
    if (outcome.fatal) {
      cell.end(null, "Python ended here.");
      fail(outcome.fatal);
      return `Python ended in cell ${cell.number}: ${outcome.fatal}. Reload the page to try again.`;
    }
    if (outcome.interrupted) {
      cell.end(null, "Interrupted.");
      return `${stopping?.reason ?? "Interrupted."} The variables are kept.`;
    }
    cell.end(outcome.error ? outcome : null);
    if (outcome.error) cell.isOld("This cell stopped with an error. Mend it, then press Run.");
    else if (edited !== cell.edits()) cell.isChanged();
    else if (afterAllBefore) cell.isNew();
    else cell.isOld("A cell above has changed meanwhile, so this output may be old. Press Run all to renew it.");
    return outcome.error ? sentence(cell, outcome) : "";
  }

  function sentence(cell, { error, line }) {
    const said = error.replace(/^AssertionError: (?=th(is|ese) claims? )/, "");
    return `Cell ${cell.number}${line ? `, line ${line}` : ""}: ${said}`;
  }

  function held() {
    return cells.reduce((sum, cell) => sum + (cell.done ? cell.claims() : 0), 0);
  }

  function summary() {
    const done = cells.filter((cell) => cell.done).length;
    const all = Math.max(claims, held());
    if (done === cells.length) return `${held()} of ${all} claims hold`;
    return `${done} of ${cells.length} cells have run. ${held()} of ${all} claims hold so far. Run all runs the others.`;
  }

  // --- exercises ------------------------------------------------------------------------------------------------

  function check(exercise) {
    return inTurn(async () => {
      exercise.begin();
      bar.running(`Checking ${exercise.name}.`);
      const limit = setTimeout(() => interrupt(`Stopped after ${exercise.limit} s.`), exercise.limit * 1000);
      const outcome = await obey({ check: exercise.order() }, exercise);
      clearTimeout(limit);
      if (outcome.fatal) fail(outcome.fatal);
      const verdict = exercise.end(outcome, stopping?.reason);
      if (!outcome.terminated && !outcome.fatal) bar.say(verdict);
    });
  }

  // --- back -----------------------------------------------------------------------------------------------------

  function back() {
    if (!isKept && !confirm("Go back to the recorded page? What you have written here is lost.")) return;
    closed = true;
    edits.close();
    choice?.remove();
    python?.end();
    [...cells, ...exercises].forEach((part) => part.close());
    bar.box.remove();
    document.body.classList.remove("live");
    button.hidden = false;
    button.disabled = false;
    button.focus();
  }
}
