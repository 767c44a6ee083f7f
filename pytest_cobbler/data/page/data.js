// Opens the deflated blocks of the page. All of them are data: nothing in them becomes markup.
const Data = (() => {
  "use strict";
  // The value of each of the 91 characters; two of them are 13 bits.
  const VALUES = new Uint8Array(127);
  let known = 0;
  for (let code = 0x21; code < 127; code += 1) if (!"<>&".includes(String.fromCharCode(code))) VALUES[code] = known++;

  function bytes(element) {
    const text = element.textContent;
    const all = new Uint8Array((text.length / 16) * 13);
    let [bits, count, at] = [0, 0, 0];
    for (let place = 0; place < text.length; place += 2) {
      bits = (bits << 13) | (VALUES[text.charCodeAt(place)] * 91 + VALUES[text.charCodeAt(place + 1)]);
      for (count += 13; count >= 8; bits &= (1 << count) - 1) all[at++] = bits >> (count -= 8);
    }
    return all.subarray(0, Number(element.dataset.size));
  }

  // Every stream begins with the dictionary, whose text is then left out.
  async function open(id) {
    const element = document.getElementById(id);
    if (!element) return null;
    const dictionary = document.getElementById("dictionary");
    const stream = new Blob([bytes(dictionary), bytes(element)]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    const data = await new Response(stream).arrayBuffer();
    return JSON.parse(new TextDecoder().decode(new Uint8Array(data, Number(dictionary.dataset.skip))));
  }

  const ACTIVE = (span) => span.phase !== "waiting" && span.phase !== "between attempts";

  // Adds to the report what views look up again and again.
  function prepare(report) {
    report.byKey = {};
    for (const [index, task] of report.tasks.entries()) {
      task.key = `${task.kind}::${task.id}`;
      task.index = index;
      task.usage = Format.sum(task.landed, task.wasted);
      task.money = task.usage.cost_usd;
      task.causes = [task.cause, ...task.attempts.map((attempt) => attempt.cause)].filter(Boolean);
      task.words = `${task.id} ${task.title} ${task.summary} ${task.causes.join(" ")}`.toLowerCase();
      task.times = [];
      report.byKey[task.key] = task;
    }
    const counts = {};
    for (const task of report.tasks) counts[task.outcome] = (counts[task.outcome] || 0) + 1;
    report.outcomes = Object.entries(counts).sort((one, other) => other[1] - one[1]);
    for (const run of report.runs) {
      run.byKey = {};
      run.until = run.state === "running" ? report.made : run.ended || run.last;
      for (const item of run.items) {
        run.byKey[item.key] = item;
        const times = report.byKey[item.key] ? report.byKey[item.key].times : [];
        for (const span of item.spans) if (ACTIVE(span)) times.push([span.begin, span.end ?? run.until]);
      }
    }
    return report;
  }

  const NOTHING = { attempts: 0, turns: 0, tokens_input: 0, tokens_output: 0, tokens_cache_read: 0, tokens_cache_write: 0, cost_usd: 0, cost_is_partial: false };

  return { open, prepare, NOTHING };
})();
