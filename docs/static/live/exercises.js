// The exercises of a lesson: an editor with the stub, a button that checks the answer, and our answer, folded.
import { button, element } from "./elements.js";
import { makeEditor } from "./editor.js";
import { highlight } from "./highlight.js";
import { makeOutput } from "./output.js";

const LIMIT = 30; // seconds; as fcn exercise's

export async function makeExercises({ files, lesson, onCheck }) {
  if (!lesson.exercises) return [];
  const answer = await fetch(new URL(`live/exercises/${lesson.stem}.json`, files));
  const found = answer.ok ? await answer.json() : [];
  return found.map((exercise) => makeExercise(exercise, onCheck)).filter(Boolean);
}

// Where an exercise stands: the element with data-exercise="7.1", else its entry in the list below "Exercises".
function placeOf({ name, number }) {
  const marked = document.querySelector(`[data-exercise="${name}"]`);
  if (marked) return marked;
  const headings = [...document.querySelectorAll("h1, h2, h3")];
  let below = headings.find((heading) => /^Exercises\b/.test(heading.textContent))?.nextElementSibling;
  while (below && below.tagName !== "OL") below = below.nextElementSibling;
  return below?.children[number - 1] ?? null;
}

function makeExercise({ lesson, number, name, title, stub, solution, text }, onCheck) {
  const place = placeOf({ name, number });
  if (!place) return null;
  const pre = element("pre", { textContent: stub });
  const output = makeOutput(`Check of exercise ${name}`);
  const run = button("Check", () => onCheck(exercise), { "aria-label": `Check exercise ${name}` });
  const ours = element("pre", { tabIndex: 0 });
  highlight(ours, solution);
  const tools = element("div", { className: "live-tools" }, run);
  const box = element(
    "div",
    { className: "live-exercise" },
    element("p", { className: "live-exercise-title", textContent: title }),
    element("div", { className: "highlight" }, pre),
    tools,
    output.box,
    element(
      "details",
      {},
      element("summary", { textContent: "Show ours", "aria-label": `Show ours of exercise ${name}` }),
      element("div", { className: "highlight" }, ours),
    ),
  );
  place.append(box);
  let edits = 0;
  const editor = makeEditor(pre, {
    label: `Your answer to exercise ${name}`,
    describedBy: "live-keys",
    onChange: () => (edits += 1),
    onRun: () => onCheck(exercise),
  });

  const exercise = {
    name,
    limit: LIMIT,
    line: output.line,
    figure: output.figure,
    edits: () => edits,
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
