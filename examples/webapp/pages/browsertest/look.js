// Returns what is wrong with how the page looks: a list of sentences.
(() => {
  const problems = [];
  const root = document.documentElement;
  if (root.scrollWidth > innerWidth) problems.push(`the page is ${root.scrollWidth} wide, its window ${innerWidth}`);

  const channels = (color) => color.match(/[\d.]+/g).map(Number);
  const luminance = (rgb) => {
    const [r, g, b] = rgb.slice(0, 3).map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const color = channels(getComputedStyle(e).backgroundColor);
      if (color.length < 4 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const contrast = (a, b) => {
    const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (light + 0.05) / (dark + 0.05);
  };

  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const text = texts.currentNode.data.trim();
    if (!text || !element.checkVisibility() || element.closest("svg")) continue;
    const ratio = contrast(channels(getComputedStyle(element).color), background(element));
    if (ratio < 4.5) problems.push(`the contrast of "${text}" is ${ratio.toFixed(2)}`);
  }

  for (const element of document.querySelectorAll("button, input:not([type=hidden]), a.button, nav a, summary")) {
    const box = element.getBoundingClientRect();
    if (element.checkVisibility() && (box.width < 24 || box.height < 24)) {
      problems.push(`${element.localName} "${element.textContent.trim()}" is ${box.width} x ${box.height}`);
    }
  }
  return problems;
})()
