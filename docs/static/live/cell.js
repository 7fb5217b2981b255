// One code cell of the page: its editor, its button, and its live output in place of the recorded one.
import { button, element } from "./elements.js";
import { makeEditor } from "./editor.js";
import { makeOutput } from "./output.js";

export function makeCell(box, index, { onRun, onEdit }) {
  const number = index + 1;
  const name = `cell ${number}`;
  const label = element("span", { className: "live-cell-number", textContent: `Cell ${number}` });
  const recorded = [...box.querySelectorAll(".cell_output")];
  const output = makeOutput(`Output of cell ${number}`);
  const ownId = box.id;
  let edits = 0;
  let claims = 0;

  const editor = makeEditor(box.querySelector(".cell_input pre"), {
    label: `Code of cell ${number}`,
    describedBy: "live-keys",
    onChange: () => {
      edits += 1;
      onEdit(index);
    },
    onRun: () => onRun(index),
  });
  const state = element("p", { className: "live-cell-state" }); // outside of the code, which may be folded
  const run = button("Run", () => onRun(index), { "aria-label": `Run cell ${number}` });
  const tools = element("div", { className: "live-tools" }, run, label);
  box.querySelector(".cell_input").append(tools);
  if (recorded.length) recorded.at(-1).after(state, output.box);
  else box.append(state, output.box);
  box.id ||= `live-cell-${number}`;

  const cell = {
    id: box.id,
    number,
    name,
    done: false,
    original: editor.text(),
    text: editor.text,
    put: editor.put,
    claims: () => claims,
    edits: () => edits,
    figure: output.figure,
    box: output.claims,
  };

  cell.line = (text, stream) => {
    if (output.line(text, stream)) claims += 1;
  };

  // The output below is what the code gives now.
  cell.isNew = () => {
    cell.done = true;
    box.classList.add("live-done");
    box.classList.remove("live-old");
    state.textContent = "";
  };

  // It is not, or may not be. `why` says it and what to do, if there is an output that could mislead.
  cell.isOld = (why) => {
    cell.done = false;
    box.classList.remove("live-done");
    box.classList.toggle("live-old", output.box.hasChildNodes());
    state.textContent = output.box.hasChildNodes() ? why : "";
  };

  // The reader has changed the code, and sees a recorded or an earlier output.
  cell.isChanged = () => {
    cell.isOld("");
    state.textContent = "You have changed this cell. Press Run to see its new output.";
  };

  // The recorded output makes room. Returns the number of edits so far.
  cell.begin = () => {
    claims = 0;
    output.clear();
    for (const part of recorded) part.hidden = true;
    box.classList.remove("live-failed");
    box.classList.add("live-running");
    box.classList.remove("live-old");
    state.textContent = "Running …";
    return edits;
  };

  cell.end = (problem, note) => {
    box.classList.remove("live-running");
    box.classList.toggle("live-failed", Boolean(problem));
    state.textContent = "";
    if (problem) output.error(problem, cell.text().split("\n")[problem.line - 1]);
    if (note) output.note(note);
  };

  cell.close = () => {
    output.clear();
    output.box.remove();
    state.remove();
    tools.remove();
    editor.close();
    for (const part of recorded) part.hidden = false;
    box.classList.remove("live-running", "live-failed", "live-done", "live-old");
    box.id = ownId;
    if (!ownId) box.removeAttribute("id");
  };

  return cell;
}
