// The table of tasks: sorted by a click on a heading, filtered by the query in the address.
const Table = (() => {
  "use strict";
  const { html, Component, useEffect, useMemo, useRef, useState } = htmPreact;
  const [FIRST, MORE] = [24, 60]; // rows that are shown first, and each time that the end comes into sight

  const NUMBERS = ["attempts", "seconds", "tokens", "money"];
  const COLUMNS = [
    ["title", "Task", (task) => Format.label(task).toLowerCase()],
    ["outcome", "Outcome", (task) => task.outcome],
    ["cause", "Cause", (task) => task.cause],
    ["attempts", "Attempts", (task) => task.attempts.length],
    ["seconds", "Time", (task) => task.seconds ?? -1],
    ["tokens", "Tokens", (task) => Format.total(task.usage)],
    ["money", "Money", (task) => task.money],
  ];

  function sorted(tasks, sort) {
    const name = (sort || "").replace(/^-/, "");
    const column = COLUMNS.find(([key]) => key === name);
    if (!column) return tasks;
    const of = column[2];
    const direction = sort.startsWith("-") ? -1 : 1;
    const compare = (one, other) => (of(one) < of(other) ? -1 : of(one) > of(other) ? 1 : 0);
    return [...tasks].sort((one, other) => direction * compare(one, other));
  }

  function Heading({ name, words, place }) {
    const sort = place.sort || "";
    const state = sort === name ? "ascending" : sort === `-${name}` ? "descending" : "none";
    const turn = () => Place.go({ sort: sort === name ? `-${name}` : name }, { quietly: true });
    return html`<th scope="col" aria-sort=${state} class=${NUMBERS.includes(name) ? "number" : ""}><button type="button" onClick=${turn}>${words}
      <span aria-hidden="true">${state === "ascending" ? " ▲" : state === "descending" ? " ▼" : ""}</span></button></th>`;
  }

  const why = ({ cause, summary }) => (summary.startsWith(`${cause}: `) ? summary.slice(cause.length + 2) : summary);

  // A row that was made and does not match is hidden: to make it again would take longer than to find it.
  class Row extends Component {
    shouldComponentUpdate(next) {
      return next.task !== this.props.task || next.hidden !== this.props.hidden;
    }

    render({ task, hidden }) {
      return html`<tr hidden=${hidden}>
    <th scope="row"><${Parts.TaskLink} task=${task} /> <small>${task.title ? task.id : task.kind}</small></th>
    <td data-name="Outcome"><${Parts.Outcome} of=${task.outcome} /></td>
    <td data-name="Cause">${task.cause}${task.cause && task.summary && html`<small title=${task.summary}>${why(task)}</small>`}</td>
    <td data-name="Attempts" class="number">${task.attempts.length}</td>
    <td data-name="Time" class="number">${Format.seconds(task.seconds)}</td>
    <td data-name="Tokens" class="number">${Format.tokens(task.usage)}</td>
    <td data-name="Money" class="number">${Format.money(task.usage)}</td></tr>`;
    }
  }

  // How many rows to show: the first ones, and more as the end comes into sight. So a filter makes a screenful, not all.
  function useGrowing(list, order, enough) {
    const [grown, set] = useState({ limit: FIRST });
    const limit = grown.list === list && grown.order === order ? grown.limit : FIRST;
    const end = useRef(null);
    const show = (more) => set({ list, order, limit: more });
    useEffect(() => {
      if (limit >= enough) return undefined;
      const all = () => show(enough);
      const observer = new IntersectionObserver(([entry]) => entry.isIntersecting && show(limit + MORE), { rootMargin: "300px" });
      observer.observe(end.current);
      addEventListener("beforeprint", all);
      return () => { observer.disconnect(); removeEventListener("beforeprint", all); };
    });
    const rest = limit < enough && html`<p ref=${end} class="tools"><button type="button" onClick=${() => show(enough)}>Show all ${enough} tasks</button></p>`;
    return [limit, rest];
  }

  function View({ report, tasks, place }) {
    const shown = useMemo(() => new Set(tasks), [tasks]);
    const rows = useMemo(() => sorted(report.tasks, place.sort), [place.sort]);
    const [limit, rest] = useGrowing(tasks, place.sort, tasks.length);
    const made = useRef(new Set()).current;
    let count = 0;
    const visible = new Set(rows.filter((task) => shown.has(task) && (count += 1) <= limit));
    for (const task of visible) made.add(task);
    return html`<h2>Tasks</h2>
    <div class="wide" role="region" aria-label="Tasks" tabindex="0"><table class="tasks">
      <thead><tr>${COLUMNS.map(([name, words]) => html`<${Heading} name=${name} words=${words} place=${place} />`)}</tr></thead>
      <tbody>${rows.filter((task) => made.has(task)).map((task) => html`<${Row} key=${task.key} task=${task} hidden=${!visible.has(task)} />`)}</tbody>
    </table></div>${rest}`;
  }
  return { View };
})();
