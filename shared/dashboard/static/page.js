// The pages work without this. It adds the viewer's own time beside UTC, and says how long an action takes.
"use strict";
(() => {
  const zone = new Intl.DateTimeFormat(undefined, {
    month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short",
  });
  const isUtc = new Date().getTimezoneOffset() === 0;
  for (const time of isUtc ? [] : document.querySelectorAll("time[datetime]")) {
    const here = document.createElement("span");
    here.className = "here";
    here.textContent = ` (${zone.format(new Date(time.dateTime))})`;
    time.append(here);
  }
  const form = document.querySelector("form[data-working]");
  const line = document.querySelector(".progress");
  if (!form || !line) return;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const started = Date.now();
    const button = form.querySelector("button");
    button.disabled = true;
    const tell = () => {
      const seconds = Math.round((Date.now() - started) / 1000);
      line.textContent = `${form.dataset.working}${seconds >= 3 ? ` ${seconds} s so far.` : ""}`;
    };
    tell();
    const timer = setInterval(tell, 3000);
    try {
      const body = new URLSearchParams(new FormData(form));
      const answer = await fetch(form.action, { method: "POST", body });
      if (!answer.redirected) throw new Error();
      line.textContent = "Done. Loading the result.";
      location.assign(answer.url);
    } catch {
      line.textContent = "No answer came. Look at the deployments on the first page before you try again.";
    } finally {
      clearInterval(timer);
    }
  });
})();
