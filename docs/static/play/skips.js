// The score layers of FCN-8s switched on and off, and FCN-32s, 16s and 8s beside each other. The networks were trained
// and the pictures made when the site was built.
import { checkbox, choice, escaped, group, numbersTo, rect, start, svg, tag, words } from "./play.js";

const NETWORKS = { atonce: "8s, trained all at once", staged: "8s, trained in stages", three: "32s, 16s and 8s" };
const NAMES = { staged: "8s in stages", atonce: "8s" };
const STRIDES = { "32s": "FCN-32s", "16s": "FCN-16s", "8s 111": "FCN-8s" };

export function begin() {
  return { network: "atonce", on: [true, true, true], stride: "32s", scene: 0 };
}

/** The name under which the data hold the prediction that is chosen. */
export function wayOf(state) {
  return state.network === "three" ? state.stride : `${NAMES[state.network]} ${state.on.map(Number).join("")}`;
}

/** The ways that can be chosen beside the current one, each with its name on the page. */
function alternatives(state, data) {
  if (state.network === "three") return STRIDES;
  const switches = numbersTo(8).map(number => [4, 2, 1].map(bit => Boolean(number & bit)));
  return Object.fromEntries(switches.map(on => [wayOf({ ...state, on }), nameOf(on, data)]));
}

function nameOf(on, data) {
  return (
    data.heads
      .filter((_, index) => on[index])
      .map(head => head.replace("score_", ""))
      .join(" + ") || "none"
  );
}

// --- the picture -------------------------------------------------------------------------------------------

function pictures(state, data, width) {
  const scene = data.scenes[state.scene];
  const gap = 10;
  const side = Math.min((width - 2 * gap) / 3, 220);
  const shown = { picture: scene.image, truth: scene.truth, prediction: scene.ways[wayOf(state)] };
  return svg(
    3 * side + 2 * gap,
    side + 22,
    "A scene, its truth, and the prediction",
    Object.entries(shown).map(([name, address], index) => [
      words(index * (side + gap), 14, name, { class: "small" }),
      tag("image", { x: index * (side + gap), y: 22, width: side, height: side, href: address }),
      rect(index * (side + gap), 22, side, side, { class: "edge" }),
    ]),
  );
}

export function still(data, width) {
  return pictures(begin(), data, width);
}

// --- the scores --------------------------------------------------------------------------------------------

function bars(state, data) {
  const current = wayOf(state);
  const rows = Object.entries(alternatives(state, data)).map(([way, name]) => {
    const { mean_iu: value } = data.scores[way];
    return (
      `<div class="play-metric${way === current ? " now" : ""}" data-way="${way}"><span>${escaped(name)}</span>` +
      `<span class="play-bar"><span style="width: ${100 * value}%"></span></span><b>${value.toFixed(3)}</b></div>`
    );
  });
  return `<div class="play-metrics"><p class="play-step">mean IU on ${data.unseen} unseen scenes</p>${rows.join("")}</div>`;
}

function legend(data) {
  const entries = [...data.classes.map((name, label) => [data.colours[label], name]), ["#fff", "void, not counted"]];
  const marks = entries.map(([colour, name]) => `<span><i style="background: ${colour}"></i>${escaped(name)}</span>`);
  return `<p class="play-legend">${marks.join("")}</p>`;
}

function sentence(state, data) {
  const way = wayOf(state);
  const iu = data.scores[way].mean_iu.toFixed(3);
  const right = (100 * data.scenes[state.scene].accuracy[way]).toFixed(1);
  return `${chosen(state, data)}: mean IU ${iu} on ${data.unseen} unseen scenes. In this scene ${right}\u00a0% of the pixels are right.`;
}

function chosen(state, data) {
  if (state.network === "three") return STRIDES[state.stride];
  const heads = data.heads.filter((_, index) => state.on[index]);
  return heads.length ? `FCN-8s with ${heads.join(" + ")}` : "FCN-8s without any score layer";
}

// --- on the page -------------------------------------------------------------------------------------------

function build(place, data) {
  const state = begin();
  const { controls, picture: area } = place.section();
  let width = 360;
  const change =
    (key, read = value => value) =>
    value => {
      state[key] = read(value);
      draw();
    };
  const scenes = Object.fromEntries(data.scenes.map((_, index) => [index, String(index + 1)]));
  const switches = document.createElement("fieldset");
  switches.innerHTML = "<legend>score layers</legend>";
  switches.append(
    ...data.heads.map((head, index) =>
      checkbox(
        head,
        true,
        on => {
          state.on[index] = on;
          draw();
        },
        head,
      ),
    ),
  );
  const strides = choice("structure", STRIDES, state.stride, change("stride"), "structure");
  controls.append(
    choice("network", NETWORKS, state.network, change("network"), "skips-network"),
    group(switches, strides),
    choice("scene", scenes, String(state.scene), change("scene", Number), "scene"),
  );
  function draw() {
    switches.hidden = state.network === "three";
    strides.hidden = !switches.hidden;
    area.innerHTML = pictures(state, data, width) + legend(data) + bars(state, data);
    place.say(sentence(state, data));
  }
  place.onWidth(found => {
    width = found;
    draw();
  });
}

start("skips", build);
