// The confusion matrix and its four metrics under a brush: paint on the truth or on the prediction.
import { button, choice, escaped, group, line, rect, start, svg, tag, words } from "./play.js";
import { confusion, metrics } from "./metrics.js";

const MAPS = { truth: "truth", prediction: "prediction" };
const METRICS = {
  pixel_accuracy: "pixel accuracy",
  mean_accuracy: "mean accuracy",
  mean_iu: "mean IU",
  frequency_weighted_iu: "frequency weighted IU",
};

export function begin(data) {
  return { truth: copied(data.truth), prediction: copied(data.prediction), brush: 1, cursor: [2, 2], changed: false };
}

function copied(labels) {
  return labels.map(row => [...row]);
}

export function numbers(state, data) {
  if (!state.changed) return { matrix: data.matrix, scores: data.scores, iu: metrics(data.matrix).iu };
  const matrix = confusion(state.truth, state.prediction, data.classes.length, data.void);
  const { iu, ...scores } = metrics(matrix);
  return { matrix, scores, iu };
}

/** Paint one pixel. Void is for the truth only: a network predicts a class everywhere. Returns: was it painted? */
export function paint(state, data, map, [row, column]) {
  if (map === "prediction" && state.brush === data.void) return false;
  state[map][row][column] = state.brush;
  state.changed = true;
  return true;
}

// --- the maps ------------------------------------------------------------------------------------------------

function cells(state, data, map, unit, cursor) {
  const wrong = (y, x) =>
    map === "prediction" && state.truth[y][x] !== data.void && state.truth[y][x] !== state.prediction[y][x];
  const squares = state[map].map((row, y) =>
    row.map((label, x) =>
      tag(
        "g",
        { class: `label-${label === data.void ? "void" : label}` },
        rect(x * unit, y * unit, unit, unit, { class: "square" }),
        label === data.void ? line(x * unit + 4, y * unit + unit - 4, x * unit + unit - 4, y * unit + 4) : "",
        wrong(y, x) ? tag("circle", { cx: (x + 0.5) * unit, cy: (y + 0.5) * unit, r: unit / 7, class: "wrong" }) : "",
      ),
    ),
  );
  const [y, x] = state.cursor;
  return (
    squares.flat().join("") +
    (cursor ? rect(x * unit + 1.5, y * unit + 1.5, unit - 3, unit - 3, { class: "cursor" }) : "")
  );
}

export function still(data, width) {
  const state = begin(data);
  const gap = 16;
  const unit = (width - gap) / 2 / data.truth.length;
  const side = unit * data.truth.length;
  return svg(
    width,
    side + 24,
    "Truth and prediction, two small label maps. A dot marks a wrong pixel",
    words(0, 14, "truth"),
    words(side + gap, 14, "prediction"),
    tag("g", { transform: "translate(0 22)" }, cells(state, data, "truth", unit, false)),
    tag("g", { transform: `translate(${side + gap} 22)` }, cells(state, data, "prediction", unit, false)),
  );
}

// --- the matrix and the metrics ------------------------------------------------------------------------------

function matrixTable({ matrix, iu }, data) {
  const most = Math.max(1, ...matrix.flat());
  const head = data.classes.map(name => `<th scope="col">${escaped(name)}</th>`).join("");
  const rows = matrix.map(
    (row, i) =>
      `<tr><th scope="row">${escaped(data.classes[i])}</th>` +
      row
        .map(
          (count, j) =>
            `<td class="${i === j ? "hit" : "miss"}" style="--share: ${Math.round(100 * Math.sqrt(count / most))}%">${count}</td>`,
        )
        .join("") +
      `<td class="iu">${percent(iu[i]).split("\u00a0")[0]}</td></tr>`,
  );
  return (
    `<table class="play-matrix"><caption>pixels of each true class (row) that were predicted as each class (column)</caption>` +
    `<thead><tr><th scope="col">true</th>${head}<th scope="col">IU, %</th></tr></thead><tbody>${rows.join("")}</tbody></table>`
  );
}

function metricBars({ scores }) {
  const rows = Object.entries(METRICS).map(
    ([key, name]) =>
      `<div class="play-metric" data-metric="${key}"><span>${name}</span>` +
      `<span class="play-bar"><span style="width: ${100 * (scores[key] || 0)}%"></span></span><b>${percent(scores[key])}</b></div>`,
  );
  return `<div class="play-metrics">${rows.join("")}</div>`;
}

function percent(value) {
  return Number.isNaN(value) || value === null ? "–" : `${(100 * value).toFixed(1)}\u00a0%`;
}

function nameOf(label, data) {
  return label === data.void ? "void" : data.classes[label];
}

function sentence(state, data, painted) {
  const { scores } = numbers(state, data);
  const what = Object.entries(METRICS)
    .map(([key, name]) => `${name} ${percent(scores[key])}`)
    .join(", ");
  return `${painted ? painted + " " : ""}${what[0].toUpperCase()}${what.slice(1)}.`;
}

// --- on the page ---------------------------------------------------------------------------------------------

function build(place, data) {
  const state = begin(data);
  const { controls, picture } = place.section();
  const size = data.truth.length;
  const brushes = Object.fromEntries([...data.classes.map((name, label) => [label, name]), [data.void, "void"]]);
  const set = change => () => {
    change();
    state.changed = true;
    draw();
  };
  controls.append(
    choice(
      "brush",
      brushes,
      String(state.brush),
      label => {
        state.brush = Number(label);
      },
      "brush",
    ),
    group(
      button("start again", () => {
        Object.assign(state, begin(data), { brush: state.brush });
        draw();
      }),
      button(
        "predict background everywhere",
        set(() => state.prediction.forEach(row => row.fill(0))),
      ),
      button(
        "predict the truth",
        set(() => {
          state.prediction = state.truth.map(row => row.map(label => (label === data.void ? 0 : label)));
        }),
      ),
    ),
  );
  controls
    .querySelectorAll("[name=brush]")
    .forEach(input =>
      input.closest("label").classList.add(`brush-${input.value === String(data.void) ? "void" : input.value}`),
    );
  const canvases = Object.keys(MAPS).map(map => canvas(map));
  const maps = group(...canvases.map(({ box }) => box));
  const counts = document.createElement("div");
  maps.classList.add("play-maps");
  picture.classList.add("play-pair");
  picture.append(maps, counts);

  /** One label map that is painted on with a pointer or with the keys. */
  function canvas(map) {
    const box = document.createElement("div");
    box.innerHTML = `<span>${MAPS[map]}</span><svg viewBox="0 0 ${size} ${size}" tabindex="0" role="application" data-map="${map}"></svg>`;
    const drawing = box.querySelector("svg");
    drawing.setAttribute(
      "aria-label",
      `${MAPS[map]}, ${size} rows and columns. Arrow keys move, the space bar paints.`,
    );
    const stroke = () => {
      draw(stayed(map, paint(state, data, map, state.cursor)));
    };
    const at = event => {
      const { left, top, width, height } = drawing.getBoundingClientRect();
      return [(event.clientY - top) / height, (event.clientX - left) / width].map(part =>
        Math.min(Math.max(Math.floor(part * size), 0), size - 1),
      );
    };
    drawing.addEventListener("pointerdown", event => {
      event.preventDefault();
      drawing.focus({ preventScroll: true });
      drawing.setPointerCapture(event.pointerId);
      state.cursor = at(event);
      stroke();
    });
    drawing.addEventListener("pointermove", event => {
      if (!drawing.hasPointerCapture(event.pointerId) || String(at(event)) === String(state.cursor)) return;
      state.cursor = at(event);
      stroke();
    });
    drawing.addEventListener("keydown", event => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!step && event.key !== " ") return;
      event.preventDefault();
      if (!step) return stroke();
      state.cursor = state.cursor.map((number, axis) => Math.min(Math.max(number + step[axis], 0), size - 1));
      draw(here());
    });
    drawing.addEventListener("focus", () => draw());
    drawing.addEventListener("blur", () => draw());
    return { map, box, drawing };
  }

  function here() {
    const [row, column] = state.cursor;
    const [truth, prediction] = Object.keys(MAPS).map(map => nameOf(state[map][row][column], data));
    return `Row ${row}, column ${column}: truth ${truth}, prediction ${prediction}.`;
  }
  function stayed(map, painted) {
    return painted ? here() : "A network predicts a class everywhere, so void is not painted into a prediction.";
  }
  function draw(painted = "") {
    for (const { map, drawing } of canvases)
      drawing.innerHTML = tag(
        "g",
        { transform: `scale(${1 / 40})` },
        cells(
          state,
          data,
          map,
          40,
          canvases.some(other => other.drawing === document.activeElement),
        ),
      );
    const now = numbers(state, data);
    counts.innerHTML = matrixTable(now, data) + metricBars(now);
    place.say(sentence(state, data, painted));
  }
  draw();
}

start("confusion", build);
