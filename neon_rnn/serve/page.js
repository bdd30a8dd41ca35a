'use strict';

const named = (id) => document.getElementById(id);
const drop = named('drop');
let last = 0; // the newest photograph; answers to older ones are passed over

function say(text, problem) {
  named('state').textContent = text;
  named('state').className = problem ? 'problem' : 'note';
}

function element(name, text) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  return made;
}

function figure(picture) {
  const made = element('figure');
  const image = element('img');
  image.src = picture.source;
  image.alt = picture.caption + '. ' + picture.detail;
  const caption = element('figcaption', picture.caption);
  caption.append(element('small', picture.detail));
  made.append(image, caption);
  return made;
}

function row([name, probability]) {
  const made = element('tr');
  const bar = element('progress');
  bar.max = 1;
  bar.value = probability;
  bar.setAttribute('aria-label', name);
  const cell = element('td');
  cell.append(bar);
  const head = element('th', name);
  head.scope = 'row';
  made.append(head, cell, element('td', (100 * probability).toFixed(1) + '%'));
  return made;
}

function show(answer) {
  const sorted = [...answer.probabilities].sort((one, other) => other[1] - one[1]);
  named('best').textContent = answer.class + ' ' + (100 * sorted[0][1]).toFixed(1) + '%';
  named('probabilities').replaceChildren(...sorted.map(row));
  named('decision').replaceChildren(...answer.pictures.slice(0, 2).map(figure));
  named('states').replaceChildren(...answer.pictures.slice(2).map(figure));
  named('sweeps').hidden = answer.pictures.length <= 2;
  named('answer').hidden = false;
}

async function explain(file) {
  const number = ++last;
  named('answer').hidden = true;
  if (file.size > Number(document.body.dataset.most)) {
    say('This file is too large: at most ' + document.body.dataset.most / 1048576 + ' MiB.', true);
    return;
  }
  say('Computing ...', false);
  let answer;
  try {
    const response = await fetch('/explain', {
      method: 'POST',
      headers: { 'Content-Type': file.type || 'application/octet-stream' },
      body: file,
    });
    answer = await response.json();
  } catch {
    answer = { error: 'The program that serves this page does not answer. Is it still running?' };
  }
  if (number !== last) return;
  if (answer.error) {
    say(answer.error, true);
    return;
  }
  say('', false);
  show(answer);
}

function take(files) {
  if (files.length === 1) explain(files[0]);
  else if (files.length) say('One photograph at a time, please.', true);
}

named('file').addEventListener('change', (event) => {
  take(event.target.files);
  event.target.value = ''; // so that the same file can be chosen again
});
for (const name of ['dragenter', 'dragover', 'dragleave', 'drop']) {
  // On the whole page: a photograph beside the field would otherwise replace the page.
  document.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle('over', name === 'dragenter' || name === 'dragover');
    if (name === 'drop') take(event.dataTransfer.files);
  });
}
