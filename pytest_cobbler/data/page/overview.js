// The first view: what ran, what came of it, what it cost, and why tasks failed.
const Overview = (() => {
  "use strict";
  const { html } = htmPreact;

  function Numbers({ report, tasks }) {
    const stitches = tasks.filter((task) => task.kind === "stitch");
    const landed = stitches.filter((task) => task.outcome === "landed");
    const sum = (list, name) => list.reduce((all, task) => Format.sum(all, task[name]), Data.NOTHING);
    const [good, bad] = [sum(stitches, "landed"), sum(tasks, "wasted")];
    const measures = sum(tasks.filter((task) => task.kind === "measure"), "landed");
    const whole = Format.sum(Format.sum(good, bad), measures);
    const rate = stitches.length ? `${Math.round((100 * landed.length) / stitches.length)} %` : "–";
    const cards = [
      ["Landed", `${landed.length} of ${stitches.length}`, rate],
      ["Money", Format.money(whole), `landed ${Format.money(good)}, wasted ${Format.money(bad)}`],
      ["Tokens", Format.tokens(whole), `cached ${Format.cached(whole)} of the input`],
      ["Attempts", whole.attempts, `${bad.attempts} came to nothing`],
    ];
    return html`<div class="cards">${cards.map(([name, value, note]) =>
      html`<div class="card"><h3>${name}</h3><p class="big">${value}</p><p>${note}</p></div>`)}</div>`;
  }

  // Attempts that did not land, of all runs, by their cause.
  function Causes({ tasks, place }) {
    const groups = {};
    for (const task of tasks) {
      const failed = task.attempts.filter((attempt) => attempt.cause);
      const ends = failed.length || !task.cause ? failed : [{ cause: task.cause, summary: task.summary }];
      for (const end of ends) {
        const group = (groups[end.cause] ||= { tasks: new Set(), summaries: {}, count: 0 });
        group.count += 1;
        group.tasks.add(task);
        group.summaries[end.summary] = (group.summaries[end.summary] || 0) + 1;
      }
    }
    const sorted = Object.entries(groups).sort((one, other) => other[1].count - one[1].count);
    if (!sorted.length) return html`<p>Nothing failed.</p>`;
    return html`<div class="causes">${sorted.map(([cause, group], at) => html`<details open=${at === 0}>
      <summary><strong>${cause}</strong> <span>${group.count} ×, ${group.tasks.size} ${group.tasks.size === 1 ? "task" : "tasks"}</span></summary>
      <ul>${Object.entries(group.summaries).sort((a, b) => b[1] - a[1]).slice(0, 5).map(([text, count]) =>
        html`<li>${count > 1 ? `${count} × ` : ""}<q>${text || cause}</q></li>`)}</ul>
      <p>${[...group.tasks].slice(0, 12).map((task) => html`<${Parts.TaskLink} task=${task} /> `)}
        ${group.tasks.size > 12 && `and ${group.tasks.size - 12} more `}</p>
      <p><a href=${Place.href({ view: "table", q: `c:${cause}` }, place)}>Show these tasks in the table</a></p>
    </details>`)}</div>`;
  }

  const Runs = ({ report, place }) => html`<div class="wide"><table>
    <thead><tr><th scope="col">Run</th><th scope="col">Began</th><th scope="col">Took</th><th scope="col">State</th>
      <th scope="col">Landed</th><th scope="col">Failed</th><th scope="col">Command</th></tr></thead>
    <tbody>${[...report.runs].reverse().map((run) => {
      const of = (outcome) => run.items.filter((item) => item.outcome === outcome).length;
      return html`<tr><th scope="row"><a href=${Place.href({ view: "timeline", run: run.id, from: "", to: "" }, place)}>${run.id}</a></th>
        <td>${Format.day(run.began)}</td><td>${Format.seconds(run.until - run.began)}</td>
        <td>${run.state}${run.state === "ended" && run.exit ? ` (exit ${run.exit})` : ""}</td>
        <td>${of("landed")}</td><td>${of("failed")}</td><td><code>${run.facts.command || ""}</code></td></tr>`;
    })}</tbody></table></div>`;

  function Settings({ run }) {
    const settings = Object.entries(run.facts.settings || {});
    const versions = Object.entries(run.facts.versions || {}).map(([name, version]) => `${name} ${version}`);
    const limits = Object.entries(run.facts.limits || {}).map(([name, limit]) => `${name} ${limit}`);
    return html`<${Parts.Facts} pairs=${[
      ["Versions", versions.join(", ")],
      ["Agent", run.facts.agent],
      ["Sandbox", run.facts.sandbox],
      ["Image", run.facts.image],
      ["Gate", run.facts.gate],
      ["In parallel", run.facts.jobs],
      ["Limits", limits.join(", ")],
    ]} />
    ${settings.length > 0 && html`<h3>Configuration that differs from the default</h3>
      <${Parts.Facts} pairs=${settings.map(([name, value]) => [name, html`<code>${JSON.stringify(value)}</code>`])} />`}`;
  }

  function View({ report, tasks, place }) {
    const run = report.runs[report.runs.length - 1];
    return html`<h2>Overview</h2>
      ${run && run.facts.command && html`<p class="repeat">To repeat: <${Parts.Copy} text=${run.facts.command} /></p>`}
      <${Numbers} report=${report} tasks=${tasks} />
      <section><h3>What did not land, by cause</h3><${Causes} tasks=${tasks} place=${place} /></section>
      ${report.runs.length > 0 && html`<section><h3>Runs</h3><${Runs} report=${report} place=${place} /></section>`}
      ${run && html`<section><h3>Latest run</h3><${Settings} run=${run} /></section>`}
      ${report.lacks.length > 0 && html`<section><h3>Missing</h3><ul>${report.lacks.map((line) => html`<li>${line}</li>`)}</ul></section>`}`;
  }
  return { View };
})();
