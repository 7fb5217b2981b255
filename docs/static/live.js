// "Run live" on the page of a lesson. This file shows the button. The rest is fetched when it is pressed.
// It is plain enough for <script> and <script type="module">.
(() => {
  const LONG = 60; // seconds; a lesson that takes longer says so, and waits for "Run all"
  const files = new URL(`${document.documentElement.dataset.content_root}_static/`, location.href);
  const button = document.getElementById("live");

  function inWords(seconds) {
    return seconds < 100 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
  }

  // What a click costs, said before it.
  function noteOn(config, lesson) {
    const note = document.createElement("span");
    const start = config.start ? ` and takes about ${inWords(config.start)} to start` : "";
    const cells = lesson.seconds ? ` All cells together take about ${inWords(lesson.seconds)}.` : "";
    const long = lesson.long ? " They wait for Run all, and you can interrupt them." : "";
    note.className = "live-note";
    note.textContent = `Loads ${Math.ceil(config.bytes / 1e6)} MB the first time${start}.${cells}${long}`;
    return note;
  }

  function showHints() {
    for (const hint of document.querySelectorAll(".live-hint")) hint.hidden = false;
  }

  async function offer() {
    const answer = await fetch(new URL("live/config.json", files));
    if (!answer.ok) return;
    const config = await answer.json();
    const stem = location.pathname.split("/").pop().replace(/\.html$/, "");
    const lesson = { stem, claims: null, seconds: null, ...config.lessons[stem] };
    lesson.long = lesson.seconds > LONG;
    button.after(noteOn(config, lesson));
    showHints();
    button.addEventListener("click", () => open(config, lesson));
    button.hidden = false;
  }

  async function open(config, lesson) {
    button.disabled = true;
    const { openLive } = await import(new URL("live/page.js", files));
    openLive({ button, files, config, lesson });
  }

  // A page opened from a folder, without a server, can start no worker: there the recorded page is all there is.
  if (button && location.protocol !== "file:") offer();
})();
