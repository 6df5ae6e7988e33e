'use strict';
(() => {
  const section = document.getElementById('images');
  const table = section.querySelector('table');
  const bodies = [...table.tBodies];
  const rows = bodies.flatMap((body) => [...body.rows]);
  const together = bodies[0].rows.length;
  const [controls, input, output] = ['.controls', 'input', 'output'].map((s) => section.querySelector(s));
  const texts = rows.map((row) => row.cells[0].textContent.toLowerCase());
  const names = [...section.querySelectorAll('.key bdi')].map((name) => name.textContent);
  const place = new Map(rows.map((row, index) => [row, index]));
  let order = rows;

  // Only the rows that are wanted stay in the document, so that bodies out of sight keep their right height.
  const show = () => {
    const part = input.value.trim().toLowerCase();
    const wanted = part ? order.filter((row) => texts[place.get(row)].includes(part)) : order;
    bodies.forEach((body, index) => {
      const own = wanted.slice(index * together, (index + 1) * together);
      body.replaceChildren(...own);
      body.hidden = own.length === 0;
      body.style.setProperty('--rows', own.length);
    });
    output.textContent = part ? `${wanted.length.toLocaleString('en')} of ${rows.length.toLocaleString('en')}` : '';
  };

  // Sizes by area, numbers by value, "<" and ">" just beside their number, a dash before everything.
  const number = (text) => {
    const found = text.replaceAll(',', '').match(/\d+(\.\d+)?/g);
    if (!found) return -1;
    const value = found.reduce((product, digits) => product * Number(digits), 1);
    return value + (text.startsWith('<') ? -1e-3 : text.startsWith('>') ? 1e-3 : 0);
  };
  const collator = new Intl.Collator('en', { numeric: true });

  [...table.tHead.rows[0].cells].forEach((head, column) => {
    if (head.classList.contains('shares')) return;
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener('click', () => {
      const next = { none: 'ascending', ascending: 'descending', descending: 'none' };
      const way = next[head.getAttribute('aria-sort') || 'none'];
      for (const other of table.tHead.rows[0].cells) other.removeAttribute('aria-sort');
      order = rows;
      if (way !== 'none') {
        head.setAttribute('aria-sort', way);
        const sign = way === 'ascending' ? 1 : -1;
        const key = (row) => row.cells[column].textContent;
        const compare = column === 0 ? collator.compare : (a, b) => a - b;
        order = rows
          .map((row) => [row, column === 0 ? key(row) : number(key(row))])
          .sort((a, b) => sign * compare(a[1], b[1]))
          .map((pair) => pair[0]);
      }
      show();
    });
  });

  input.addEventListener('input', show);
  // A piece of a bar tells its class and share when pointed at.
  section.addEventListener('mouseover', (event) => {
    const piece = event.target;
    if (piece.matches('td.bar i')) piece.title = `${names[piece.className.slice(1)]} ${piece.style.width}`;
  });
  controls.hidden = false;
})();
