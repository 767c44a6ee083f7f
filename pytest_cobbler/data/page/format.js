// Times, money and numbers as people read them.
const Format = (() => {
  "use strict";
  const pad = (number) => String(number).padStart(2, "0");

  function seconds(value) {
    if (value === null || value === undefined) return "–";
    if (value < 10) return `${value.toFixed(1)} s`;
    if (value < 60) return `${Math.round(value)} s`;
    const whole = Math.round(value);
    if (whole < 3600) return `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`;
    return `${Math.floor(whole / 3600)} h ${pad(Math.floor((whole % 3600) / 60))} min`;
  }

  function clock(time) {
    if (!time) return "–";
    const date = new Date(time * 1000);
    return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  }

  function day(time) {
    if (!time) return "–";
    const date = new Date(time * 1000);
    return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${clock(time)}`;
  }

  function money(amount) {
    if (!amount || amount.cost_usd === null || (!amount.attempts && !amount.cost_usd)) return "–";
    return `${amount.cost_is_partial ? "≥ " : ""}${amount.cost_usd.toFixed(amount.cost_usd < 1 ? 4 : 2)} USD`;
  }

  const total = (amount) =>
    amount.tokens_input + amount.tokens_output + amount.tokens_cache_read + amount.tokens_cache_write;

  function tokens(amount) {
    const sum = total(amount);
    if (sum < 10000) return String(sum);
    return sum < 1e6 ? `${Math.round(sum / 1000)} k` : `${(sum / 1e6).toFixed(1)} M`;
  }

  function cached(amount) {
    const input = amount.tokens_input + amount.tokens_cache_read + amount.tokens_cache_write;
    return input && amount.tokens_cache_read ? `${Math.floor((100 * amount.tokens_cache_read) / input)} %` : "–";
  }

  function sum(one, other) {
    const result = { cost_usd: one.cost_usd + other.cost_usd };
    result.cost_is_partial = one.cost_is_partial || other.cost_is_partial;
    for (const name of ["attempts", "turns", "tokens_input", "tokens_output", "tokens_cache_read", "tokens_cache_write"])
      result[name] = one[name] + other[name];
    return result;
  }

  // The shape and the sign of an outcome: both can be told apart without colour.
  const SIGNS = {
    landed: "✓", proposed: "✓", failed: "✗", blocked: "⊘", limited: "⧗", cancelled: "■",
    killed: "†", running: "▶", waiting: "…", "not started": "…",
  };
  const sign = (outcome) => SIGNS[outcome] || "·";
  const label = (task) => task.title || task.id;

  return { seconds, clock, day, money, tokens, total, cached, sum, sign, label };
})();
