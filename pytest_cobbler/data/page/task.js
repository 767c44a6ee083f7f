// A task: its attempts side by side, and what is left of each: prompt, conversation, change, log, tests.
const TaskView = (() => {
  "use strict";
  const { html, useEffect, useRef, useState } = htmPreact;

  const OF_MEASURES = [["steps", "Conversation"], ["prompt", "Prompt"], ["log", "Answer"]];
  const TABS = [["steps", "Conversation"], ["prompt", "Prompt"], ["diff", "Change"], ["log", "Gate log"], ["tests", "Tests"]];

  function Attempts({ task, attempt, place }) {
    const gate = (one) => one.gates.map((run) => `${run.passed ? "passed" : "failed"}${run.tests ? `: ${run.tests}` : ""} (${Format.seconds(run.seconds)})`).join("; ");
    const rows = [
      ["Outcome", (one) => html`<${Parts.Outcome} of=${one.outcome || "running"} />`],
      ["Cause", (one) => one.cause],
      ["Why", (one) => one.summary && html`<q>${one.summary}</q>`],
      ["Run", (one) => one.run],
      ["Began", (one) => Format.day(one.began)],
      ["Agent", (one) => [one.agent, Format.seconds(one.seconds)].filter(Boolean).join(", ")],
      ["Node", (one) => one.node],
      ["Tokens", (one) => `${Format.tokens(one.usage)}, cached ${Format.cached(one.usage)}`],
      ["Money", (one) => Format.money(one.usage)],
      ["Model", (one) => one.usage.model],
      ["Files", (one) => one.files ?? ""],
      ["Gate", gate],
      ["Conflicts", (one) => one.conflicts.join(", ")],
      ["Notes", (one) => one.notes.length > 0 && html`<ul>${one.notes.map((note) => html`<li>${note}</li>`)}</ul>`],
      ["Kept as", (one) => one.ref && html`<code>${one.ref}</code>`],
    ].filter(([, of]) => task.attempts.some((one) => of(one)));
    return html`<div class="wide" role="region" aria-label="Attempts" tabindex="0"><table class="attempts"><thead><tr><td></td>
      ${task.attempts.map((one) => html`<th scope="col"><a href=${Place.href({ attempt: one.number, step: "" }, place)}
        aria-current=${one === attempt ? "true" : "false"}>Attempt ${one.number}</a></th>`)}</tr></thead>
      <tbody>${rows.map(([name, of]) => html`<tr><th scope="row">${name}</th>${task.attempts.map((one) => html`<td>${of(one)}</td>`)}</tr>`)}</tbody></table></div>`;
  }

  function Step({ step, at, chosen, place }) {
    const ref = useRef(null);
    const [open, setOpen] = useState(chosen);
    useEffect(() => { if (chosen && ref.current) { setOpen(true); ref.current.scrollIntoView({ block: "center" }); ref.current.focus(); } }, [chosen]);
    const facts = [step.time != null && Format.seconds(step.time), step.tokens && `${step.tokens} tokens`].filter(Boolean).join(", ");
    const head = html`<a class="number" href=${Place.href({ tab: "steps", step: at + 1 }, place)} aria-label="Link to step ${at + 1}">#${at + 1}</a>
      <span class="facts">${facts}</span>`;
    const isTool = step.kind === "tool";
    return html`<li class="step ${step.kind} ${chosen ? "chosen" : ""}" id="step-${at + 1}" tabindex="-1" ref=${ref}>
      ${isTool
        ? html`<div class="head">${head}</div><details open=${open}><summary><strong>${step.name}</strong> <code>${step.text}</code></summary>
            ${step.input && html`<pre tabindex="0">${step.input}</pre>`}${step.result && html`<pre class=${step.failed ? "error" : ""} tabindex="0">${step.result}</pre>`}</details>`
        : html`<div class="head">${head} <strong>${{ text: "Agent", thinking: "Thinking", user: "Told", note: "Program" }[step.kind]}</strong></div>
            <div class="text">${step.text}</div>`}</li>`;
  }

  const Steps = ({ steps, place }) => steps.length
    ? html`<ol class="steps">${steps.map((step, at) => html`<${Step} key=${at} step=${step} at=${at} chosen=${String(at + 1) === place.step} place=${place} />`)}</ol>`
    : html`<p>No conversation is left.</p>`;

  const Line = ({ line }) => {
    const [kind, pieces] = line;
    const mark = { "+": "+", "-": "-", " ": " " }[kind] ?? "";
    return html`<div class="line ${{ "+": "added", "-": "removed", "@": "hunk" }[kind] || ""}">${mark}${pieces.map(([token, text]) =>
      token ? html`<span class=${`hl-${token}`}>${text}</span>` : text)}${"\n"}</div>`;
  };

  const Diff = ({ files }) => files.length
    ? html`${files.map((file) => html`<details class="file" open><summary><code>${file.path}</code> <span class="plus">+${file.added}</span> <span class="minus">−${file.removed}</span></summary>
        <pre tabindex="0">${file.lines.map((line) => html`<${Line} line=${line} />`)}</pre></details>`)}`
    : html`<p>No change is left.</p>`;

  function Tests({ task, attempt }) {
    const { statement } = task;
    const own = attempt && attempt.commit ? statement : null;
    const results = own ? Object.entries(own.results) : [];
    return html`${attempt.gates.map((gate) => html`<p>${gate.passed ? "passed" : `failed: ${gate.summary}`}${gate.tests && `, ${gate.tests}`} on tree <code>${gate.tree.slice(0, 12)}</code></p>`)}
      ${own && html`<h4>Statement of the landing</h4><${Parts.Facts} pairs=${[["Verdict", own.verdict], ["Signed", own.signed ? "yes (not checked here)" : "no"], ["Tree", own.tree], ["On tip", own.tip], ["Gate of", own.base], ["Image", own.image]]} />`}
      ${results.length > 0 && html`<ul class="tests">${results.map(([name, word]) => html`<li><${Parts.Outcome} of=${word} /> <code>${name}</code></li>`)}</ul>`}
      ${!attempt.gates.length && !own && html`<p>No gate ran on this attempt.</p>`}`;
  }

  const Text = ({ text, without }) => (text ? html`<pre class="document" tabindex="0">${text}</pre>` : html`<p>${without}</p>`);

  // Lines that tell of a failure stand out, as in a terminal.
  const FAILED = /^(E {2,}|FAILED|ERROR|FAIL:|--- FAIL|panic:|\w*(Error|Exception):)/;
  const Log = ({ text }) => (text ? html`<pre class="document log" tabindex="0">${text.split("\n").map((line) =>
    FAILED.test(line) ? html`<strong>${line}</strong>${"\n"}` : `${line}\n`)}</pre>` : html`<p>No log is left.</p>`);

  function Body({ task, attempt, place }) {
    const [body, setBody] = useState(null);
    const [error, setError] = useState("");
    useEffect(() => {
      let stale = false;
      setBody(null);
      Data.open(`block-${task.index}-${attempt.number}`).then((opened) => stale || setBody(opened || {}), (problem) => setError(String(problem)));
      return () => { stale = true; };
    }, [task, attempt]);
    const broke = attempt.gates.length > 0 && !attempt.gates[attempt.gates.length - 1].passed;
    const tab = place.tab || (broke && !place.step ? "log" : "steps"); // why it failed comes first
    const link = ([name, words]) => html`<a role="tab" id="tab-${name}" aria-selected=${tab === name} aria-controls="body"
      href=${Place.href({ tab: name, step: "" }, place)}>${words}</a>`;
    return html`<div class="tabs" role="tablist" aria-label="Attempt ${attempt.number}">${(task.kind === "measure" ? OF_MEASURES : TABS).map(link)}</div>
      <div id="body" role="tabpanel" aria-labelledby="tab-${tab}">
        ${error ? html`<p>${error}</p>` : !body ? html`<p>Opens …</p>`
          : tab === "prompt" ? html`<${Text} text=${body.prompt} without="No prompt is left." />`
          : tab === "diff" ? html`<${Diff} files=${body.diff || []} />`
          : tab === "log" ? html`<${Log} text=${body.log} />`
          : tab === "tests" ? html`<${Tests} task=${task} attempt=${attempt} />`
          : html`<${Steps} steps=${body.steps || []} place=${place} />`}
        ${body && (body.cut || []).map((note) => html`<p class="hint">${note}</p>`)}</div>`;
  }

  function Commands({ report, task }) {
    const item = `${report.configuration}::${task.kind}::${task.id}`;
    const kept = task.attempts.filter((attempt) => attempt.ref).pop();
    const lines = [["Print everything", `pytest --cobbler-show ${task.id}`]];
    if (task.commit) lines.push(["The landed commit", `git show ${task.commit}`], ["Check its statement", `pytest --cobbler-verify ${task.commit}`]);
    else if (task.kind === "stitch") lines.push(["Try again, or go on with the conversation", `pytest --cobbler-resume ${item}`]);
    if (kept) lines.push(["The kept work", `git show ${kept.ref}`]);
    return html`<ul class="commands">${lines.map(([words, text]) => html`<li>${words}: <${Parts.Copy} text=${text} /></li>`)}</ul>`;
  }

  // The tasks before and after this one, of those that the filter shows.
  function Neighbours({ task, tasks }) {
    const at = tasks.indexOf(task);
    const link = (other, words) => other && html`<${Parts.TaskLink} task=${other}>${words}<span class="unseen"> ${Format.label(other)}</span><//>`;
    return at >= 0 && tasks.length > 1 && html`<nav class="neighbours" aria-label="Tasks before and after this one">
      ${link(tasks[at - 1], "← Previous")} <span>${at + 1} of ${tasks.length}</span> ${link(tasks[at + 1], "Next →")}</nav>`;
  }

  function View({ report, tasks, place }) {
    const task = report.byKey[place.task];
    if (!task) return html`<h2>Task</h2><p>There is no such task in this report.</p>`;
    const attempt = task.attempts.find((one) => String(one.number) === place.attempt) || task.attempts[task.attempts.length - 1];
    const needs = task.needs.map((need) => report.byKey[`stitch::${need}`] || { id: need, title: "", key: "" });
    const run = report.runs.find((one) => attempt && one.id === attempt.run);
    const item = run && run.byKey[task.key];
    return html`<${Neighbours} task=${task} tasks=${tasks} />
      <h2>${Format.label(task)} <${Parts.Outcome} of=${task.outcome} /></h2>
      ${task.summary && html`<p><q>${task.summary}</q></p>`}
      <${Parts.Facts} pairs=${[["Id", task.id], ["Commit", task.commit && html`<code>${task.commit.slice(0, 12)}</code>`], ["Time", Format.seconds(task.seconds)],
        ["Landed", task.commit ? Format.money(task.landed) : ""], ["Wasted", Format.money(task.wasted)],
        ["Needs", needs.length > 0 && needs.map((need) => (need.key ? html`<${Parts.TaskLink} task=${need} /> ` : `${need.id} `))],
        ["Waited", item && item.waits.map((wait) => `${wait.kind} ${Format.seconds(wait.end - wait.begin)}`).join(", ")]]} />
      <${Commands} report=${report} task=${task} />
      ${attempt ? html`<h3>Attempts</h3><${Attempts} task=${task} attempt=${attempt} place=${place} />
        <h3>Attempt ${attempt.number}</h3><${Body} task=${task} attempt=${attempt} place=${place} />` : html`<p>No attempt was made.</p>`}`;
  }
  return { View };
})();
