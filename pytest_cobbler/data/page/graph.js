// The graph of tasks and what they need. Outcomes differ in shape and in sign, not only in colour.
const Graph = (() => {
  "use strict";
  const { html, useEffect, useState } = htmPreact;
  const PAUSE = 200; // milliseconds without a letter of the filter, after which the picture is laid out anew
  const [WIDTH, HEIGHT] = [190, 44];

  // The outline of a node, around its centre.
  function outline(outcome) {
    const [w, h] = [WIDTH / 2, HEIGHT / 2];
    const points = {
      failed: [[-w + 12, -h], [w - 12, -h], [w, -h + 12], [w, h - 12], [w - 12, h], [-w + 12, h], [-w, h - 12], [-w, -h + 12]],
      killed: [[-w + 12, -h], [w - 12, -h], [w, 0], [w - 12, h], [-w + 12, h], [-w, 0]],
      limited: [[-w + 14, -h], [w, -h], [w - 14, h], [-w, h]],
      cancelled: [[-w, -h], [w - 14, -h], [w, h], [-w + 14, h]],
      blocked: [[-w, -h], [w - 14, -h], [w, 0], [w - 14, h], [-w, h], [-w + 14, 0]],
    }[outcome];
    if (points) return html`<polygon class="shape" points=${points.map((point) => point.join(",")).join(" ")} />`;
    const round = outcome === "landed" || outcome === "running" ? h : 4;
    return html`<rect class="shape" x=${-w} y=${-h} width=${WIDTH} height=${HEIGHT} rx=${round} />`;
  }

  function place(tasks) {
    const shown = new Map(tasks.map((task) => [task.id, task]));
    const edges = tasks.flatMap((task) => task.needs.filter((need) => shown.has(need)).map((need) => [need, task.id]));
    const bound = new Set(edges.flat());
    const graph = new dagre.graphlib.Graph();
    graph.setGraph({ rankdir: "LR", nodesep: 16, ranksep: 60, marginx: 12, marginy: 12 });
    graph.setDefaultEdgeLabel(() => ({}));
    for (const id of bound) graph.setNode(id, { width: WIDTH, height: HEIGHT });
    for (const [from, to] of edges) graph.setEdge(from, to);
    if (bound.size) dagre.layout(graph);
    const nodes = [...bound].map((id) => ({ ...graph.node(id), task: shown.get(id) }));
    const lines = edges.map(([from, to]) => ({ ends: [shown.get(from), shown.get(to)], points: graph.edge(from, to).points }));
    const size = bound.size ? graph.graph() : { width: 0, height: 0 };
    return { tasks, nodes, lines, size, alone: tasks.filter((task) => !bound.has(task.id)) };
  }

  const short = (text) => (text.length > 22 ? `${text.slice(0, 21)}…` : text);

  const Node = ({ node, place: here }) => {
    const { task } = node;
    return html`<a href=${Place.href({ view: "task", task: task.key }, here)} class="node ${task.outcome.replace(" ", "-")}"
      transform="translate(${node.x} ${node.y})" aria-label="${Format.label(task)}: ${task.outcome}">
      <title>${Format.label(task)}: ${task.outcome} ${task.summary}</title>${outline(task.outcome)}</a>`;
  };

  // Beside the links, whose names have more than fits into a node.
  const Name = ({ node }) => html`<g class="words" aria-hidden="true" transform="translate(${node.x} ${node.y})">
    <text class="sign" x=${-WIDTH / 2 + 22} y="5" text-anchor="middle">${Format.sign(node.task.outcome)}</text>
    <text x=${-WIDTH / 2 + 36} y="5">${short(Format.label(node.task))}</text></g>`;

  function View({ tasks, place: here }) {
    const [zoom, setZoom] = useState(1);
    const stitches = tasks.filter((task) => task.kind === "stitch");
    const [laid, lay] = useState(() => place(stitches));
    useEffect(() => {
      if (laid.tasks.length === stitches.length && laid.tasks.every((task, at) => task === stitches[at])) return undefined;
      const timer = setTimeout(() => lay(place(stitches)), PAUSE);
      return () => clearTimeout(timer);
    }, [tasks]);
    const shown = new Set(stitches);
    const nodes = laid.nodes.filter((node) => shown.has(node.task));
    const lines = laid.lines.filter(({ ends }) => ends.every((task) => shown.has(task)));
    const alone = laid.alone.filter((task) => shown.has(task));
    const { size } = laid;
    const [width, height] = [size.width * zoom, size.height * zoom];
    return html`<h2>Graph</h2>
      <p class="tools"><button type="button" onClick=${() => setZoom(zoom * 1.25)}>Larger</button>
        <button type="button" onClick=${() => setZoom(zoom / 1.25)}>Smaller</button>
        <span>An arrow leads from a task to one that needs it.</span></p>
      ${nodes.length > 0 && html`<div class="scroll" role="region" aria-label="Graph of tasks" tabindex="0">
        <svg width=${width} height=${height} viewBox="0 0 ${size.width} ${size.height}" role="group" aria-label="Tasks and their needs">
          <defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">
            <path d="M0 0 8 4 0 8z" class="tip" /></marker></defs>
          ${lines.map(({ points }) => html`<polyline class="edge" marker-end="url(#tip)"
            points=${points.map((point) => `${point.x},${point.y}`).join(" ")} />`)}
          ${nodes.map((node) => html`<${Node} key=${node.task.key} node=${node} place=${here} />`)}
          ${nodes.map((node) => html`<${Name} key=${node.task.key} node=${node} />`)}</svg></div>`}
      ${alone.length > 0 && html`<h3>${nodes.length ? "Tasks without needs" : "No task needs another one"}</h3>
        <ul class="alone">${alone.map((task) => html`<li key=${task.key}><${Parts.Outcome} of=${task.outcome} />${" "}
          <${Parts.TaskLink} task=${task} /></li>`)}</ul>`}`;
  }
  return { View };
})();
