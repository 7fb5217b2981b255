// The exercises of a lesson: an editor with what the reader begins with, and a button that checks the answer.
import { button, element } from "./elements.js";
import { makeEditor } from "./editor.js";
import { highlight } from "./highlight.js";
import { makeOutput } from "./output.js";

// `limit` is in seconds: a check that takes longer is stopped.
export async function makeExercises({ files, lesson, limit, onCheck, onEdit }) {
  if (!lesson.exercises) return [];
  const answer = await fetch(new URL(`live/exercises/${lesson.stem}.json`, files));
  const found = answer.ok ? await answer.json() : [];
  return found.map((exercise) => makeExercise(exercise, limit, onCheck, onEdit)).filter(Boolean);
}

// The section of the page with the exercise, or null. The editor stands in it above the folded solution.
function sectionOf({ lesson, number }) {
  return document.getElementById(`exercise-${lesson}-${number}`)?.closest("section") ?? null;
}

function makeExercise({ lesson, number, name, begin, text }, limit, onCheck, onEdit) {
  const section = sectionOf({ lesson, number });
  if (!section) return null;
  const pre = element("pre", { textContent: begin });
  const output = makeOutput(`Check of exercise ${name}`);
  const run = button("Check", () => onCheck(exercise), { "aria-label": `Check exercise ${name}` });
  const box = element(
    "div",
    { className: "live-exercise" },
    element("div", { className: "highlight" }, pre),
    element("div", { className: "live-tools" }, run),
    output.box,
  );
  highlight(pre, begin);
  section.insertBefore(box, section.querySelector(":scope > details"));
  const editor = makeEditor(pre, {
    label: `Your answer to exercise ${name}`,
    describedBy: "live-keys",
    onChange: () => onEdit(exercise),
    onRun: () => onCheck(exercise),
  });

  const exercise = {
    name: `exercise ${name}`,
    limit,
    original: editor.text(),
    text: editor.text,
    put: editor.put,
    line: output.line,
    figure: output.figure,
    close: () => box.remove(),
    order: () => ({ lesson, number, exercise: text, answer: editor.text() }),
  };

  exercise.begin = () => {
    output.clear();
    box.classList.remove("live-right", "live-failed");
  };

  // Shows the verdict, and returns it as a sentence for the status.
  exercise.end = (outcome, stopped) => {
    const message = messageOf(outcome, stopped);
    const verdict = message ? `Exercise ${name} is not right yet.` : `Exercise ${name} is right.`;
    box.classList.add(message ? "live-failed" : "live-right");
    const block = element("div", { className: "live-verdict" }, element("p", {}, element("strong", {}, verdict)));
    for (const line of message.split("\n").filter(Boolean)) block.append(element("p", { textContent: line }));
    output.box.append(block);
    return message ? `${verdict} ${message.split("\n")[0]}` : verdict;
  };

  return exercise;
}

function messageOf(outcome, stopped) {
  if (outcome.terminated) return `${stopped} Does a loop run for ever?\nThe variables of the lesson's cells are lost.`;
  if (outcome.fatal) return `Python ended: ${outcome.fatal}. Reload the page to try again.`;
  const said = outcome.message ?? outcome.error;
  return stopped ? `${stopped} ${said}` : said;
}
