// What is looked at is the part of the address behind "#", so that a view can be sent to another person.
const Place = (() => {
  "use strict";
  const { useState, useEffect } = htmPreact;

  function read() {
    const place = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    place.view = place.view || "overview";
    return place;
  }

  // The address of a place; what is empty is left out.
  function href(changes, base = read()) {
    const pairs = Object.entries({ ...base, ...changes }).filter(([, value]) => value !== "" && value != null);
    return `#${new URLSearchParams(pairs)}`;
  }

  function go(changes, { quietly = false } = {}) {
    if (quietly) {
      history.replaceState(null, "", href(changes));
      dispatchEvent(new HashChangeEvent("hashchange"));
    } else location.hash = href(changes);
  }

  function use() {
    const [place, set] = useState(read);
    useEffect(() => {
      const listen = () => set(read());
      addEventListener("hashchange", listen);
      return () => removeEventListener("hashchange", listen);
    }, []);
    return place;
  }

  // The tokens of a query: o:failed c:gate t:title r:run $>1 s>60 a>1, and words.
  const TOKEN = /([a-z]):("([^"]*)"|\S+)|([$sa])([<>])(\d+(?:\.\d+)?)|"([^"]*)"|(\S+)/g;

  function parse(query) {
    const tests = [];
    for (const [, key, raw, quoted, measure, sign, number, phrase, word] of query.matchAll(TOKEN)) {
      const value = (quoted ?? raw ?? phrase ?? word ?? "").toLowerCase();
      if (key === "o") tests.push((task) => task.outcome.startsWith(value));
      else if (key === "c") tests.push((task) => task.causes.some((cause) => cause.startsWith(value)));
      else if (key === "t") tests.push((task) => task.title.toLowerCase().includes(value));
      else if (key === "r") tests.push((task) => task.attempts.some((attempt) => attempt.run.startsWith(value)));
      else if (measure) {
        const of = { $: (task) => task.money, s: (task) => task.seconds ?? -1, a: (task) => task.attempts.length }[measure];
        tests.push((task) => (sign === ">" ? of(task) > Number(number) : of(task) < Number(number)));
      } else tests.push((task) => task.words.includes(value));
    }
    return (task) => tests.every((test) => test(task));
  }

  // The chosen range of time: seconds since 1970, or null.
  function range(place) {
    const [from, to] = [Number(place.from), Number(place.to)];
    return place.from && place.to && to > from ? { from, to } : null;
  }

  function matching(report, place) {
    const test = parse(place.q || "");
    const chosen = range(place);
    const within = (task) =>
      !chosen || task.times.some(([begin, end]) => begin < chosen.to && end > chosen.from);
    return report.tasks.filter((task) => test(task) && within(task));
  }

  return { read, href, go, use, parse, range, matching };
})();
