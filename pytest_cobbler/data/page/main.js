// Starts the page: opens the report, and shows the view that the address names.
(() => {
  "use strict";
  const { html, render, useEffect, useMemo, useRef } = htmPreact;

  const VIEWS = { overview: ["Overview", Overview], timeline: ["Timeline", Timeline], graph: ["Graph", Graph], table: ["Tasks", Table], task: ["Task", TaskView] };
  const HELP = "Words, o:failed (outcome), c:gate (cause), t:title, r:run, $>1 (money), s>60 (seconds), a>1 (attempts)";

  // A button for each outcome, with its number of tasks: it writes the outcome into the filter, or takes it out.
  function Outcomes({ report, place }) {
    const token = (outcome) => `o:${outcome.includes(" ") ? JSON.stringify(outcome) : outcome}`;
    const words = (place.q || "").trim();
    const turn = (outcome) => {
      const rest = words.replace(/(^|\s)o:("[^"]*"|\S+)/g, "").trim();
      const q = words.includes(token(outcome)) ? rest : `${token(outcome)} ${rest}`.trim();
      Place.go({ q, view: place.view === "task" ? "table" : place.view }, { quietly: true });
    };
    return html`<div class="outcomes" role="group" aria-label="Outcomes">${report.outcomes.map(([outcome, count]) => html`<button type="button"
      class="chip" aria-pressed=${words.includes(token(outcome)) ? "true" : "false"} onClick=${() => turn(outcome)}><${Parts.Outcome} of=${outcome} /> ${count}</button>`)}</div>`;
  }

  function Filter({ report, place, count, all }) {
    const write = (event) => Place.go({ q: event.target.value, view: place.view === "task" ? "table" : place.view }, { quietly: true });
    const chosen = Place.range(place);
    return html`<form class="filter" role="search" onSubmit=${(event) => event.preventDefault()}>
      <label for="query">Filter</label><input id="query" type="search" value=${place.q || ""} onInput=${write} aria-describedby="help" spellcheck="false" />
      <output for="query" aria-live="polite">${count} of ${all}</output>
      ${chosen && html`<button type="button" class="chip" onClick=${() => Place.go({ from: "", to: "" })}>${Format.clock(chosen.from)} to ${Format.clock(chosen.to)} ✕<span class="unseen"> let the range go</span></button>`}
      <${Outcomes} report=${report} place=${place} />
      <small id="help">${HELP}</small></form>`;
  }

  function turn() {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  }

  function Page({ report }) {
    const place = Place.use();
    const tasks = useMemo(() => Place.matching(report, place), [place.q, place.from, place.to]);
    const [, { View }] = VIEWS[place.view] || VIEWS.overview;
    const main = useRef(null);
    const name = `${place.view} ${place.task || ""}`;
    const first = useRef(name);
    useEffect(() => {
      if (first.current !== name && main.current && document.activeElement.id !== "query") { main.current.focus(); scrollTo(0, 0); }
      first.current = name;
    }, [name]);
    const link = ([view, [words]]) => view === "task" ? null : html`<a href=${Place.href({ view, task: "", attempt: "", tab: "", step: "" }, place)}
      aria-current=${place.view === view ? "page" : "false"}>${words}</a>`;
    return html`<a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); main.current.focus(); }}>Skip to the content</a>
      <header><h1>${report.project} <small>${report.generation.name}</small></h1>
        <nav aria-label="Views">${Object.entries(VIEWS).map(link)}</nav>
        <button type="button" class="theme" onClick=${turn} aria-label="Light or dark">◐</button></header>
      <${Filter} report=${report} place=${place} count=${tasks.length} all=${report.tasks.length} />
      <main id="main" ref=${main} tabindex="-1"><${View} report=${report} tasks=${tasks} place=${place} /></main>
      <footer>Made ${Format.day(report.made)} by pytest-cobbler${report.program ? ` ${report.program}` : ""}. Nothing on this page is sent anywhere.</footer>`;
  }

  Data.open("report").then((report) => {
    const root = document.getElementById("app");
    root.replaceChildren();
    render(html`<${Page} report=${Data.prepare(report)} />`, root);
    root.dataset.ready = "true";
  }, (problem) => {
    document.getElementById("app").textContent = `The report cannot be opened: ${problem}. It needs a browser of 2023 or later.`;
  });
})();
