// Asks for the counts anew, now and then, while somebody looks. Without it the page is as it was when it was loaded.
const counts = document.getElementById("counts");
setInterval(async () => {
  if (document.hidden || counts.contains(document.activeElement)) return;
  const answer = await fetch("/operator/counts", { redirect: "error" }).catch(() => null);
  if (!answer || !answer.ok) return;
  const open = counts.querySelector("details").open;
  counts.innerHTML = await answer.text();
  counts.querySelector("details").open = open;
}, 5000);
