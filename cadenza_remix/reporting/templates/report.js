"use strict";
// Every player: one playhead, and a gain for each signal; switching moves the gains, never the playhead.
let context, stopOther = () => {};

for (const player of document.querySelectorAll(".player")) {
  const [button, seek] = player.querySelectorAll("button, input[type=range]");
  const [time, trouble] = player.querySelectorAll("output");
  const matched = player.querySelector("input[type=checkbox]");
  const signals = [...player.querySelectorAll(".signal")].map((card) => ({
    audio: card.querySelector("audio"), radio: card.querySelector("input"), offset: Number(card.dataset.volumeDb),
  }));
  let buffers, gains = [], sources = [], startedAt = 0, position = 0, playing = false;

  const volume = (signal) => signal.radio.checked ? (matched.checked ? 1 : 10 ** (signal.offset / 20)) : 0;
  const mix = () => gains.forEach((gain, i) => gain.gain.setTargetAtTime(volume(signals[i]), context.currentTime, 0.008));
  const duration = () => buffers ? Math.min(...buffers.map((b) => b.duration)) : Number(seek.max);
  const now = () => playing ? (position + Math.max(context.currentTime - startedAt, 0)) % duration() : position;

  async function load() {
    context ??= new AudioContext();
    await context.resume();
    buffers ??= await Promise.all(signals.map(({ audio }) => context.decodeAudioData(
      Uint8Array.from(atob(audio.src.split(",")[1]), (c) => c.charCodeAt(0)).buffer)));
  }
  function stop() {
    position = now();
    playing = false;
    sources.forEach((source) => source.stop());
    sources = [];
    button.textContent = "Play";
    player.classList.remove("playing");
  }
  function start() {
    stopOther();
    stopOther = stop;
    gains = signals.map((signal) => new GainNode(context, { gain: volume(signal) }));
    sources = buffers.map((buffer, i) => {
      const source = new AudioBufferSourceNode(context, { buffer, loop: true, loopEnd: duration() });
      source.connect(gains[i]).connect(context.destination);
      return source;
    });
    startedAt = context.currentTime + 0.02;
    sources.forEach((source) => source.start(startedAt, position));
    playing = true;
    button.textContent = "Pause";
    player.classList.add("playing");
    draw();
  }
  function draw() {
    const at = now();
    seek.value = at;
    time.textContent = `${at.toFixed(1)} s`;
    player.style.setProperty("--at", at / duration());
    if (playing) requestAnimationFrame(draw);
  }
  button.addEventListener("click", async () => {
    if (playing) return stop();
    try {
      await load();
      start();
    } catch {
      trouble.textContent = "This browser cannot play Opus in Ogg; Firefox, Chrome and Safari from 18.4 can.";
    }
  });
  seek.addEventListener("input", () => {
    const resume = playing;
    if (resume) stop();
    position = Number(seek.value) % duration();
    if (resume) start(); else draw();
  });
  player.addEventListener("change", () => { if (playing) mix(); });
  player.classList.add("ready");
  player.querySelector(".transport").hidden = false;
}
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => { each.open = true; }));
