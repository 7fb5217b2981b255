// One code cell of the page: its editor, its button, and its live output in place of the recorded one.
import { button, element } from "./elements.js";
import { makeEditor } from "./editor.js";
import { makeOutput } from "./output.js";

export function makeCell(box, index, { onRun, onEdit }) {
  const number = index + 1;
  const name = `cell ${number}`;
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
  const state = element("span", { className: "live-cell-state" });
  const run = button("Run", () => onRun(index), { "aria-label": `Run cell ${number}` });
  const tools = element("div", { className: "live-tools" }, run, state);
  box.querySelector(".cell_input").append(tools);
  box.append(output.box);
  box.id ||= `live-cell-${number}`;

  const cell = {
    id: box.id,
    number,
    name,
    done: false,
    text: editor.text,
    claims: () => claims,
    edits: () => edits,
    figure: output.figure,
    box: output.claims,
  };

  cell.line = (text, stream) => {
    if (output.line(text, stream)) claims += 1;
  };

  // Whether the output below is what the code above gives now.
  cell.mark = (done) => {
    cell.done = done;
    box.classList.toggle("live-done", done);
    state.textContent = done ? "" : output.box.hasChildNodes() ? "has to run again" : "";
  };

  // The recorded output makes room. Returns the number of edits so far.
  cell.begin = () => {
    claims = 0;
    output.clear();
    for (const part of recorded) part.hidden = true;
    box.classList.remove("live-failed");
    box.classList.add("live-running");
    state.textContent = "running";
    return edits;
  };

  cell.end = (problem, note) => {
    box.classList.remove("live-running");
    box.classList.toggle("live-failed", Boolean(problem));
    state.textContent = "";
    if (problem) output.error(problem.error, problem.traceback);
    if (note) output.note(note);
  };

  cell.close = () => {
    output.clear();
    output.box.remove();
    tools.remove();
    editor.close();
    for (const part of recorded) part.hidden = false;
    box.classList.remove("live-running", "live-failed", "live-done");
    box.id = ownId;
    if (!ownId) box.removeAttribute("id");
  };

  return cell;
}
