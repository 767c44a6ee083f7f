// Small pieces that several views share.
const Parts = (() => {
  "use strict";
  const { html, useState } = htmPreact;

  const Outcome = ({ of }) =>
    html`<span class="outcome ${of.replace(" ", "-")}"><span aria-hidden="true">${Format.sign(of)}</span> ${of}</span>`;

  // What a link to a task has. A click keeps the filter; its address has none, so that rows and bars stay as they are.
  function toTask(key) {
    const to = { view: "task", task: key, attempt: "", tab: "", step: "" };
    const onClick = (event) => {
      if (event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      Place.go(to);
    };
    return { href: Place.href(to, {}), onClick };
  }

  const TaskLink = ({ task, children }) => html`<a ...${toTask(task.key)}>${children || Format.label(task)}</a>`;

  function Copy({ text, label = "Copy" }) {
    const [done, setDone] = useState(false);
    const copy = async () => {
      await write(text);
      setDone(true);
      setTimeout(() => setDone(false), 1500);
    };
    return html`<span class="command"><code>${text}</code>
      <button type="button" onClick=${copy} aria-label="${label}: ${text}">${done ? "Copied" : label}</button></span>`;
  }

  // The clipboard is not open to every page that is read from a file.
  async function write(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  }

  const Facts = ({ pairs }) => html`<dl class="facts">
    ${pairs.filter(([, value]) => !["", "–", false, null, undefined].includes(value)).map(([name, value]) =>
      html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}
  </dl>`;

  return { Outcome, TaskLink, toTask, Copy, Facts };
})();
