// One value through each upsampling: an impulse, a kernel that can be edited, and the sum over all coarse values.
import {
  button,
  choice,
  field,
  group,
  line,
  many,
  numbersTo,
  rect,
  slider,
  start,
  svg,
  tag,
  words,
  written,
} from "./play.js";
import { spread } from "./upsampling.js";

const METHODS = {
  nearest: "nearest neighbour",
  bilinear: "bilinear",
  nails: "bed of nails",
  own: "learned, or your own",
};
const MOST_TAPS = 8;

export function begin(data) {
  return {
    method: "bilinear",
    f: 2,
    crop: 0,
    place: Math.floor(data.coarse / 2),
    kernel: [...data.kernels.bilinear[2]],
  };
}

/** What the impulse and a row of ones become. */
export function numbers(state, data) {
  const { f, crop, kernel } = state;
  const impulse = numbersTo(data.coarse).map(i => Number(i === state.place));
  if (asBuilt(state, data)) {
    const { impulse: bars, sum } = data.spread[state.method][f];
    return { impulse, bars, sum };
  }
  return {
    impulse,
    bars: spread(impulse, kernel, f, crop),
    sum: spread(
      impulse.map(() => 1),
      kernel,
      f,
      crop,
    ),
  };
}

/** For the settings that the page was built with, its numbers are shown as they are. */
function asBuilt({ method, f, crop, place, kernel }, data) {
  return crop === 0 && place === Math.floor(data.coarse / 2) && String(kernel) === String(data.kernels[method][f]);
}

// --- the picture -------------------------------------------------------------------------------------------

function picture(state, data, width) {
  const { f, crop, kernel } = state;
  const { impulse, bars, sum } = numbers(state, data);
  const left = 26;
  const right = 4;
  const full = f * (data.coarse - 1) + kernel.length;
  const unit = (width - left - right) / Math.max(full, f * data.coarse);
  const at = place => left + (place + crop) * unit;
  // A coarse value stands over the middle of its kernel.
  const over = i => left + (f * i + kernel.length / 2) * unit;
  const low = Math.min(0, ...sum, ...bars);
  const high = Math.max(1.25, ...sum, ...bars);
  const tall = 150;
  const base = 118 + (tall * high) / (high - low);
  const y = value => base - (value * tall) / (high - low);
  const wide = Math.min(0.55 * f * unit, 22);
  return svg(
    width,
    118 + tall + 30,
    "The coarse values, the fine values, and the sum over all coarse values",
    words(0, 13, "coarse values", { class: "small" }),
    line(left, 66, width - right, 66),
    impulse.map((value, i) => rect(over(i) - wide / 2, 66 - 40 * value, wide, 40 * value, { class: "bar coarse" })),
    impulse.map((value, i) => words(over(i), 82, value, { class: "small", "text-anchor": "middle" })),
    words(0, 108, "fine values, and their sum over all coarse values", { class: "small" }),
    cropped(state, full, left, unit, tall),
    [0, 0.5, 1].map(value => [
      line(left, y(value), width - right, y(value), { class: value ? "guide" : "" }),
      words(left - 4, y(value) + 5, value, { class: "small", "text-anchor": "end" }),
    ]),
    bars.map((value, place) =>
      rect(at(place) + 0.1 * unit, Math.min(y(value), y(0)), 0.8 * unit, Math.abs(y(value) - y(0)), {
        class: "bar fine",
        "data-value": String(value),
      }),
    ),
    sumLine(sum, place => at(place), unit, y),
    sum.map((value, place) =>
      tag("circle", {
        cx: at(place) + unit / 2,
        cy: y(value),
        r: Math.min(3.2, unit / 4),
        class: "sum",
        "data-value": String(value),
      }),
    ),
    unit > 21
      ? bars.map((value, place) =>
          value
            ? words(at(place) + unit / 2, labelPlace(value, y), written(value, 2), {
                class: "value",
                "text-anchor": "middle",
              })
            : "",
        )
      : "",
    numbersTo(bars.length)
      .filter(place => place % (unit > 16 ? 1 : unit > 9 ? 2 : 4) === 0)
      .map(place => words(at(place) + unit / 2, 118 + tall + 20, place, { class: "small", "text-anchor": "middle" })),
  );
}

/** A bar's number stands inside it, or above it where it is too short. */
function labelPlace(value, y) {
  if (value < 0) return y(value) + 16;
  return y(0) - y(value) > 26 ? y(value) + 17 : y(value) - 7;
}

/** What the crop cuts off on both sides. */
function cropped({ crop }, full, left, unit, tall) {
  if (!crop) return "";
  return [left, left + (full - crop) * unit].map(x => rect(x, 118, crop * unit, tall, { class: "cut" }));
}

function sumLine(sum, at, unit, y) {
  const points = sum.map((value, place) => `${(at(place) + unit / 2).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  return tag("polyline", { points, class: "sumline" });
}

// --- words -------------------------------------------------------------------------------------------------

/** Which values a row of ones becomes where every tap of the kernel can arrive: one for each place within a stride. */
export function insideSums(kernel, f) {
  const sums = new Array(f).fill(0);
  kernel.forEach((tap, a) => {
    sums[a % f] += tap;
  });
  return sums;
}

function sentence(state, data) {
  const { bars } = numbers(state, data);
  const reached = numbersTo(bars.length).filter(place => bars[place] !== 0);
  const sums = insideSums(state.kernel, state.f);
  const parted = sums.every(sum => Math.abs(sum - 1) < 1e-9);
  const largest = Math.max(...bars, 0);
  const reach = reached.length
    ? `reaches ${many(reached.length, "fine value")}, from ${reached[0]} to ${reached.at(-1)}; the largest is ${written(largest)}`
    : "reaches no fine value";
  const taps = sums.map(sum => written(sum)).join(" and ");
  return (
    `Coarse value ${state.place} ${reach}. ` +
    (parted
      ? `The taps that meet at a fine value add up to 1: away from the ends, ones stay ones (a partition of unity).`
      : `The taps that meet at a fine value add up to ${taps}: ones do not stay ones.`)
  );
}

export function still(data, width) {
  return picture(begin(data), data, width);
}

// --- on the page -------------------------------------------------------------------------------------------

function build(place, data) {
  const state = begin(data);
  const { controls, picture: area } = place.section();
  let width = 360;
  const taps = document.createElement("fieldset");
  taps.className = "play-taps";
  const method = choice("upsampling", METHODS, state.method, chosen => renew({ method: chosen }), "method");
  const factor = slider("factor", { min: 2, max: 4, value: state.f, name: "f" }, f => renew({ f }));
  const where = slider("impulse at", { min: 0, max: data.coarse - 1, value: state.place, name: "place" }, value => {
    state.place = value;
    draw();
  });
  const crop = slider("crop", { min: 0, max: 4, value: 0, name: "crop" }, value => {
    state.crop = value;
    draw();
  });
  const more = button("one tap more", () => {
    state.kernel.push(0);
    edited();
    tapFields();
  });
  const fewer = button("one tap fewer", () => {
    state.kernel.pop();
    edited();
    tapFields();
  });
  controls.append(method, group(factor, where, crop), taps);

  /** Another method or factor: take its kernel. */
  function renew(change) {
    Object.assign(state, change);
    state.kernel = [...data.kernels[state.method][state.f]];
    tapFields();
    draw();
  }
  /** A tap was changed by hand: the kernel is the reader's own from now on. */
  function edited() {
    state.method = "own";
    method.set("own");
    draw();
  }
  function tapFields() {
    const legend = document.createElement("legend");
    legend.textContent = "kernel";
    taps.replaceChildren(
      legend,
      ...state.kernel.map((tap, a) =>
        field(`tap ${a}`, { min: -2, max: 2, step: 0.05, value: Number(tap.toFixed(3)), name: `tap-${a}` }, value => {
          state.kernel[a] = value;
          edited();
        }),
      ),
      fewer,
      more,
    );
    fewer.disabled = state.kernel.length <= 1;
    more.disabled = state.kernel.length >= MOST_TAPS;
  }
  function draw() {
    const most = Math.floor(state.kernel.length / 2);
    state.crop = Math.min(state.crop, most);
    crop.set({ max: most, value: state.crop });
    area.innerHTML = picture(state, data, width);
    place.say(sentence(state, data));
  }
  tapFields();
  place.onWidth(found => {
    width = found;
    draw();
  });
}

start("impulse", build);
