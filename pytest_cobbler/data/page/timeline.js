// A run as a picture: lanes of agents, gates and landings; below them how many agents worked, and what they cost.
const Timeline = (() => {
  "use strict";
  const { html, Component, useLayoutEffect, useMemo, useRef, useState } = htmPreact;
  const [LEFT, RIGHT, TOP, LANE, GAP, CURVE] = [76, 12, 22, 20, 14, 56];
  const IN_SLOT = ["starting", "agent", "checking"];
  const IN_LANE = ["merging", "landing"];
  const FEWEST = 4; // pixels that a drag has to move

  // The bars of a run: a row for each agent that worked concurrently, one for gates, one for landings.
  function bars(run) {
    const agents = [], gates = [], landings = [];
    for (const item of run.items) {
      let last = null;
      for (const span of item.spans) {
        const bar = { item, begin: span.begin, end: span.end ?? run.until, phase: span.phase };
        if (IN_SLOT.includes(span.phase)) {
          if (last && bar.begin - last.end < 0.05) last.end = bar.end;
          else agents.push((last = bar));
        } else {
          last = null;
          if (span.phase === "gate") gates.push(bar);
          else if (IN_LANE.includes(span.phase)) landings.push(bar);
        }
      }
    }
    agents.sort((one, other) => one.begin - other.begin);
    const free = [];
    for (const bar of agents) {
      const row = free.findIndex((end) => end <= bar.begin + 0.001);
      bar.row = row < 0 ? free.length : row;
      free[bar.row] = bar.end;
    }
    for (const bar of gates) bar.row = free.length;
    for (const bar of landings) bar.row = free.length + 1;
    const all = [...agents, ...gates, ...landings];
    const steps = {};
    for (const step of run.critical_path) (steps[step.key] ||= []).push(step);
    for (const bar of all) bar.critical = (steps[bar.item.key] || []).some((step) =>
      Math.min(step.end, bar.end) - Math.max(step.begin, bar.begin) > 0.5 * (bar.end - bar.begin));
    return { all, agents, rows: free.length };
  }

  // The steps of a curve, as pairs of time and height.
  function steps(changes, begin) {
    let height = 0;
    const points = [[begin, 0]];
    for (const [time, change] of changes.sort((one, other) => one[0] - other[0])) {
      const last = points[points.length - 1];
      height += change;
      if (points.length > 1 && time - last[0] < 0.1) last[1] = height;
      else points.push([time, last[1]], [time, height]);
    }
    return points;
  }

  const spent = (report, run) => report.tasks.flatMap((task) => task.attempts
    .filter((attempt) => attempt.run === run.id && attempt.began && attempt.usage.cost_usd)
    .map((attempt) => [attempt.began + (attempt.seconds || 0), attempt.usage.cost_usd]));

  function Curve({ points, x, top, name, end, show }) {
    const most = Math.max(...points.map((point) => point[1]), 0);
    if (!most) return null;
    const y = (value) => top + CURVE - (value / most) * (CURVE - 14);
    const line = [...points, [end, points[points.length - 1][1]]].map(([time, value]) => `${x(time).toFixed(1)},${y(value).toFixed(1)}`);
    return html`<g class="curve"><text x="4" y=${top + 22}>${name}</text><text x="4" y=${top + 38} class="most">≤ ${show(most)}</text>
      <polygon points="${x(points[0][0])},${top + CURVE} ${line.join(" ")} ${x(end)},${top + CURVE}" />
      <polyline points=${line.join(" ")} /></g>`;
  }

  const round = (seconds) => [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200].find((step) => seconds / step <= 8) || 86400;

  function Axis({ run, x, height }) {
    const whole = Math.max(run.until - run.began, 1);
    const step = round(whole);
    const ticks = Array.from({ length: Math.floor(whole / step) + 1 }, (_, at) => at * step);
    return html`<g class="axis">${ticks.map((tick) => html`<line x1=${x(run.began + tick)} x2=${x(run.began + tick)} y1=${TOP - 6} y2=${height} />
      <text x=${x(run.began + tick)} y="12" text-anchor="middle">${tick < 60 ? `${tick} s` : tick < 3600 ? `${tick / 60} min` : `${tick / 3600} h`}</text>`)}</g>`;
  }

  // Lines from an item to those that it waited for and to those that went on when it ended something.
  function Links({ item, run, layout, x, y }) {
    const barOf = (key, before) => layout.all.filter((bar) => bar.item.key === key && bar.end <= before + 0.1).pop();
    const lines = item.waits.filter((wait) => wait.on).map((wait) => [barOf(wait.on, wait.end), wait.end, item.key]);
    for (const key of item.unblocked) for (const wait of (run.byKey[key] || { waits: [] }).waits)
      if (wait.on === item.key) lines.push([barOf(item.key, wait.end), wait.end, key]);
    return html`<g class="links">${lines.map(([from, time, key]) => {
      const to = layout.all.find((bar) => bar.item.key === key && bar.begin >= time - 0.1);
      return from && to && html`<path d="M${x(from.end)} ${y(from.row) + LANE / 2} C${x(from.end) + 20} ${y(from.row)} ${x(to.begin) - 20} ${y(to.row)} ${x(to.begin)} ${y(to.row) + LANE / 2}" />`;
    })}</g>`;
  }

  function Details({ item, run, report, place, critical }) {
    if (!item) return html`<p class="hint">Point at a bar, or move with Tab and the arrow keys, to see what its task waited for and
      what went on after it. Drag over the picture to choose a range of time: every view then shows that range only.</p>`;
    const name = (key) => Format.label(report.byKey[key] || { title: (run.byKey[key] || {}).title, id: key.split("::")[1] });
    const words = { need: "a task that it needs", slot: "a free place for an agent", lane: "the landing lane", gate: "its gate" };
    return html`<h3>${name(item.key)} <${Parts.Outcome} of=${item.outcome} /></h3>
      ${item.summary && html`<p><q>${item.summary}</q></p>`}
      <ul>${item.waits.map((wait) => html`<li>waited ${Format.seconds(wait.end - wait.begin)} for ${words[wait.kind]}${wait.on && html`: ${name(wait.on)}`}</li>`)}
        ${item.waits.length === 0 && html`<li>waited for nothing</li>`}
        <li>${item.unblocked.length ? `went on after it: ${item.unblocked.map(name).join(", ")}` : "nothing waited for it"}</li>
        ${critical.has(item.key) && html`<li>on the critical path</li>`}</ul>`;
  }

  function useWidth() {
    const ref = useRef(null);
    const [width, set] = useState(900);
    useLayoutEffect(() => {
      const observer = new ResizeObserver(() => ref.current && set(Math.max(320, ref.current.clientWidth)));
      if (ref.current) observer.observe(ref.current);
      return () => observer.disconnect();
    }, []);
    return [ref, width];
  }

  // Dragging over the picture chooses a range; a click without a drag lets it go.
  function useDrag(time, choose) {
    const [drag, set] = useState(null);
    const moved = useRef(false);
    const at = (event) => time(event.clientX - event.currentTarget.getBoundingClientRect().left);
    return {
      drag,
      handlers: {
        onPointerDown: (event) => { if (event.button === 0) { moved.current = false; set({ x: event.clientX, from: at(event), to: at(event) }); } },
        onPointerMove: (event) => {
          if (!drag) return;
          if (!moved.current && Math.abs(event.clientX - drag.x) >= FEWEST) { moved.current = true; event.currentTarget.setPointerCapture(event.pointerId); }
          if (moved.current) set({ ...drag, to: at(event) });
        },
        onPointerUp: () => {
          if (drag && moved.current) choose(Math.min(drag.from, drag.to), Math.max(drag.from, drag.to));
          set(null);
        },
        onPointerCancel: () => set(null),
        onClickCapture: (event) => { if (moved.current) { event.preventDefault(); event.stopPropagation(); moved.current = false; } },
      },
    };
  }

  function Range({ run, place, choose, zoom, setZoom }) {
    const chosen = Place.range(place);
    const submit = (event) => {
      event.preventDefault();
      const form = event.currentTarget;
      choose(run.began + Number(form.elements.from.value), run.began + Number(form.elements.to.value));
    };
    const value = (time) => (time ? Math.round((time - run.began) * 10) / 10 : "");
    return html`<form class="tools" onSubmit=${submit} key=${`${place.from}-${place.to}`}>
      <label>From <input name="from" type="number" step="any" min="0" value=${chosen ? value(chosen.from) : 0} /> s</label>
      <label>to <input name="to" type="number" step="any" min="0" value=${chosen ? value(chosen.to) : value(run.until)} /> s</label>
      <button>Show only this range</button>
      ${chosen && html`<button type="button" onClick=${() => Place.go({ from: "", to: "" })}>Whole run</button>`}
      <span class="zoom"><button type="button" onClick=${() => setZoom(Math.min(16, zoom * 1.5))}>Larger</button>${" "}
        <button type="button" disabled=${zoom === 1} onClick=${() => setZoom(Math.max(1, zoom / 1.5))}>Smaller</button></span></form>`;
  }

  function Bar({ bar, x, y, first, on }) {
    const { item } = bar;
    const width = Math.max(2, x(bar.end) - x(bar.begin));
    const kind = bar.phase === "gate" ? "gate" : IN_LANE.includes(bar.phase) ? "landing" : "agent";
    const words = `${item.title || item.key}: ${kind} ${Format.seconds(bar.end - bar.begin)}, ${item.outcome}`;
    return html`<a class="bar ${kind} ${item.outcome.replace(" ", "-")} ${bar.critical && width > 5 ? "critical" : ""}" draggable="false"
      data-key=${item.key} ...${Parts.toTask(item.key)} tabindex=${first ? 0 : -1} aria-label=${words} onMouseEnter=${() => on(item)} onFocus=${() => on(item)}
      ><rect x=${x(bar.begin)} y=${y(bar.row)} width=${width} height=${LANE - 4} rx=${Math.min(3, width / 2 - 1)} /></a>`;
  }

  // Beside the links, whose names have more than fits on a bar.
  function Name({ bar, x, y }) {
    const width = x(bar.end) - x(bar.begin);
    if (width < 24) return null;
    const [name, fits] = [bar.item.title || bar.item.key, Math.floor((width - 30) / 7.4)];
    const words = fits < 8 && name.length > fits ? "" : ` ${name.length > fits ? `${name.slice(0, fits - 1)}…` : name}`;
    return html`<text class="name" data-key=${bar.item.key} aria-hidden="true" x=${x(bar.begin) + 5} y=${y(bar.row) + 12}>${Format.sign(bar.item.outcome)}${words}</text>`;
  }

  // Drawn again only if they move: what a filter leaves out only fades (see `useFading`).
  class Bars extends Component {
    shouldComponentUpdate(next) {
      return next.layout !== this.props.layout || next.x !== this.props.x;
    }

    render({ layout, x, y, on, group }) {
      return html`<g ref=${group}>${layout.all.map((bar, at) => html`<${Bar} bar=${bar} x=${x} y=${y} first=${at === 0} on=${on} />`)}
        ${layout.all.map((bar) => html`<${Name} bar=${bar} x=${x} y=${y} />`)}</g>`;
    }
  }

  // Thousands of bars do not pass through the comparison of trees for each letter of a filter.
  function useFading(tasks, layout, x) {
    const group = useRef(null);
    useLayoutEffect(() => {
      const shown = new Set(tasks.map((task) => task.key));
      for (const node of group.current.children) node.classList.toggle("dim", !shown.has(node.dataset.key));
    }, [tasks, layout, x]);
    return group;
  }

  function Picture({ report, run, tasks, place, critical }) {
    const [ref, room] = useWidth();
    const [zoom, setZoom] = useState(1);
    const width = Math.round(room * zoom);
    const [chosenItem, setItem] = useState(null);
    const layout = useMemo(() => bars(run), [run]);
    const whole = Math.max(run.until - run.began, 0.001);
    const x = useMemo(() => (time) => LEFT + ((time - run.began) / whole) * (width - LEFT - RIGHT), [run, width]);
    const group = useFading(tasks, layout, x);
    const time = (left) => run.began + (Math.min(Math.max(left - LEFT, 0), width - LEFT - RIGHT) / (width - LEFT - RIGHT)) * whole;
    const y = (row) => TOP + row * LANE + (row >= layout.rows ? GAP : 0);
    const below = y(layout.rows + 2) + GAP;
    const height = below + 2 * (CURVE + GAP);
    const choose = (from, to) => Place.go({ from: from.toFixed(2), to: to.toFixed(2) });
    const { drag, handlers } = useDrag(time, choose);
    const brush = drag ? { from: Math.min(drag.from, drag.to), to: Math.max(drag.from, drag.to) } : Place.range(place);
    const move = (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      const all = [...event.currentTarget.querySelectorAll("a.bar")];
      const next = all[all.indexOf(document.activeElement) + step];
      if (next) { event.preventDefault(); next.focus(); }
    };
    const agents = layout.agents.flatMap((bar) => [[bar.begin, 1], [bar.end, -1]]);
    return html`<${Range} run=${run} place=${place} choose=${choose} zoom=${zoom} setZoom=${setZoom} />
      <div class="picture" ref=${ref}><svg width=${width} height=${height} role="group" aria-label="Timeline of run ${run.id}" onKeyDown=${move} ...${handlers}>
        <${Axis} run=${run} x=${x} height=${height} />
        <text class="lane" x="4" y=${TOP + 13}>agents</text>
        <text class="lane" x="4" y=${y(layout.rows) + 13}>gate</text><text class="lane" x="4" y=${y(layout.rows + 1) + 13}>landing</text>
        <${Bars} layout=${layout} x=${x} y=${y} on=${setItem} group=${group} />
        ${chosenItem && html`<${Links} item=${chosenItem} run=${run} layout=${layout} x=${x} y=${y} />`}
        <${Curve} points=${steps(agents, run.began)} x=${x} top=${below} name="at work" end=${run.until} show=${(most) => most} />
        <${Curve} points=${steps(spent(report, run), run.began)} x=${x} top=${below + CURVE + GAP} name="money" end=${run.until} show=${(most) => `${most.toFixed(2)} $`} />
        ${brush && html`<rect class="brush" x=${x(Math.max(brush.from, run.began))} y=${TOP - 6}
          width=${Math.max(0, x(Math.min(brush.to, run.until)) - x(Math.max(brush.from, run.began)))} height=${height - TOP} />`}
      </svg></div>
      <div class="details" aria-live="polite"><${Details} item=${chosenItem} run=${run} report=${report} place=${place} critical=${critical} /></div>`;
  }

  const CriticalPath = ({ run, report, place }) => html`<h3>Critical path</h3><ol class="path">${run.critical_path.map((step) => {
    const task = report.byKey[step.key];
    return html`<li>${task ? html`<${Parts.TaskLink} task=${task} />` : step.key} ${Format.seconds(step.end - step.begin)}</li>`;
  })}</ol>`;

  function View({ report, tasks, place }) {
    const run = report.runs.find((one) => one.id === place.run) || report.runs[report.runs.length - 1];
    if (!run) return html`<h2>Timeline</h2><p>No run is known: the journal is gone.</p>`;
    const critical = new Set(run.critical_path.map((step) => step.key));
    return html`<h2>Timeline</h2>
      ${report.runs.length > 1 && html`<p class="tools"><label>Run <select value=${run.id} onChange=${(event) => Place.go({ run: event.target.value, from: "", to: "" })}>
        ${report.runs.map((one) => html`<option value=${one.id} selected=${one.id === run.id}>${one.id}, ${Format.day(one.began)}, ${one.state}</option>`)}</select></label></p>`}
      <${Picture} key=${run.id} report=${report} run=${run} tasks=${tasks} place=${place} critical=${critical} />
      <${CriticalPath} run=${run} report=${report} place=${place} />`;
  }
  return { View };
})();
