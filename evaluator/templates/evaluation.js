'use strict';
(() => {
  const data = window.EVALUATION;
  if (!data) return;
  const TOGETHER = 60;
  const find = (selector) => document.querySelector(selector);
  const [cards, more, all, filter, order, output] =
    ['#cards', '#more', '#all', '.controls input', '#order', '.controls output'].map(find);
  const make = (tag, text, name) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (name) element.className = name;
    return element;
  };
  const number = (value) => (value === null ? '–' : value.toFixed(4));
  const percent = (value) => `${(100 * value).toFixed(2)} %`;
  const path = (file) => file.split('/').map(encodeURIComponent).join('/');
  const images = data.images.map((row, at) => {
    const [name, truth, picture, height, width, iou, accuracy, leftOut, kinds, classes] = row;
    return { at, name, truth, picture, height, width, iou, accuracy, leftOut, kinds, classes: new Map(classes.map(([c, iou, nsd]) => [c, { iou, nsd }])) };
  });

  // Worst first: what is unknown comes last.
  const least = (value) => (value === null || value === undefined ? Infinity : value);
  const orders = [
    ['mean IoU', (image) => least(image.iou)],
    ['pixel accuracy', (image) => least(image.accuracy)],
    ['left out, most first', (image) => -image.leftOut],
    ...data.kinds.map((kind, k) => [`${kind}, most first`, (image) => -image.kinds[k]]),
    ...data.classes.map((name, c) => [`IoU of ${name}`, (image) => least(image.classes.get(c)?.iou)]),
    ...data.classes.map((name, c) => [`NSD of ${name}`, (image) => least(image.classes.get(c)?.nsd)]),
    ['name', null],
  ];
  orders.forEach(([text], at) => order.append(new Option(text, at)));

  let wanted = images;
  let chosen = null;
  let shown = 0;

  const strip = (image, lazy) => {
    const box = document.createDocumentFragment();
    if (!data.pictures || !image.picture) return box;
    const panels = make('div', undefined, 'panels');
    data.panels.forEach((panel) => panels.append(make('span', panel)));
    const img = make('img');
    if (lazy) img.loading = 'lazy';
    const step = Math.max(1, Math.ceil(Math.max(image.height, image.width) / 224));
    img.width = Math.ceil(image.width / step) * data.panels.length;
    img.height = Math.ceil(image.height / step);
    img.style.height = 'auto';
    img.alt = data.panels.join(', ');
    img.src = path(image.picture);
    box.append(panels, img);
    return box;
  };

  const open = (image) => {
    const dialog = find('#open');
    const body = dialog.querySelector('div');
    const table = make('table', undefined, 'compact');
    const line = (name, value) => {
      const row = table.insertRow();
      row.append(make('td', name), make('td', value, 'n'));
    };
    line('truth', image.truth);
    line('size, px', `${image.height} × ${image.width}`);
    line('mean IoU', number(image.iou));
    line('pixel accuracy', number(image.accuracy));
    line('left out', percent(image.leftOut));
    image.classes.forEach(({ iou, nsd }, c) => {
      line(`IoU of ${data.classes[c]}`, number(iou));
      line(`NSD of ${data.classes[c]}`, number(nsd));
    });
    image.kinds.forEach((pixels, k) => pixels && line(data.kinds[k], `${pixels.toLocaleString('en')} px`));
    body.replaceChildren(make('h3', image.name), strip(image, false), table);
    dialog.showModal();
  };

  const card = (image, note) => {
    const box = make('article', undefined, 'card');
    const button = make('button', undefined, 'strip');
    button.type = 'button';
    button.setAttribute('aria-label', `open ${image.name}`);
    button.append(strip(image, true));
    button.addEventListener('click', () => open(image));
    const title = make('h3');
    title.append(make('bdi', image.name));
    const facts = make('p', undefined, 'facts');
    const say = (name, value) => {
      const span = make('span', `${name} `);
      span.append(make('b', value));
      facts.append(span);
    };
    say('mean IoU', number(image.iou));
    say('right', number(image.accuracy));
    if (note !== undefined) say('in this cell', `${note.toLocaleString('en')} px`);
    if (!data.pictures) button.textContent = 'numbers';
    box.append(button, title, facts);
    return box;
  };

  const extend = () => {
    const next = wanted.slice(shown, shown + TOGETHER);
    cards.append(...next.map((image) => card(image, chosen ? chosen.get(image.at) : undefined)));
    shown += next.length;
    more.hidden = shown >= wanted.length;
    output.textContent = `${shown.toLocaleString('en')} of ${wanted.length.toLocaleString('en')} shown`;
  };

  const show = () => {
    const part = filter.value.trim().toLowerCase();
    const [, key] = orders[order.value];
    wanted = images.filter((image) => (!chosen || chosen.has(image.at)) && image.name.toLowerCase().includes(part));
    if (chosen) wanted.sort((a, b) => chosen.get(b.at) - chosen.get(a.at) || a.at - b.at);
    else if (key) wanted.sort((a, b) => key(a) - key(b) || a.at - b.at);
    all.hidden = !chosen;
    order.disabled = Boolean(chosen);
    cards.replaceChildren();
    shown = 0;
    extend();
  };

  const cells = new Map(data.cells);
  document.addEventListener('click', (event) => {
    const cell = event.target.dataset && event.target.dataset.cell;
    if (!cell) return;
    chosen = new Map((cells.get(cell) || []).map(([pixels, at]) => [at, pixels]));
    const [truth, predicted] = cell.split(',').map((c) => data.classes[c] || 'no class');
    find('#shown-of').textContent = `The images with most of ${truth} predicted as ${predicted}.`;
    show();
    find('#images').scrollIntoView();
  });
  all.addEventListener('click', () => {
    chosen = null;
    find('#shown-of').textContent = '';
    show();
  });
  filter.addEventListener('input', show);
  order.addEventListener('change', show);
  more.addEventListener('click', extend);
  show();
})();
