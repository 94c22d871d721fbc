// Values under the pointer. Written without libraries, for any browser of the last ten years; text
// reaches the page through textContent only, so nothing from outside can become markup.
#include "report/script.hpp"

namespace smoothcert::report {

std::string_view page_script() {
  return R"js('use strict';
document.querySelectorAll('.plot').forEach(function (plot) {
  var svg = plot.querySelector('svg'), panel = plot.querySelector('.reader');
  if (!panel || !svg || !svg.dataset.places) return;
  var places = svg.dataset.places.split(' ').map(Number);
  var frame = svg.dataset.frame.split(' ').map(Number);
  var left = frame[0], right = frame[1], top = frame[2], bottom = frame[3];
  var low = frame[4], high = frame[5];
  var curves = [];
  svg.querySelectorAll('[data-values]').forEach(function (path) {
    curves.push({name: path.dataset.name, values: path.dataset.values.split('|'),
                 style: path.getAttribute('class').replace('line ', '')});
  });
  var slider = panel.querySelector('input'), output = panel.querySelector('output');
  var cursor = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  cursor.setAttribute('class', 'cursor');
  svg.appendChild(cursor);
  function show(index) {
    var place = places[index];
    var x = left + (place - low) / (high - low) * (right - left);
    cursor.setAttribute('d', 'M' + x.toFixed(1) + ' ' + top + 'V' + bottom);
    var head = svg.dataset.quantity + ' = ' + place;
    var spoken = [head];
    output.textContent = '';
    output.appendChild(document.createElement('b')).textContent = head;
    curves.forEach(function (curve) {
      var item = output.appendChild(document.createElement('span'));
      item.className = 'value ' + curve.style;
      item.textContent = curve.name + '\u00a0 ' + curve.values[index];
      spoken.push(curve.name + ' ' + curve.values[index]);
    });
    slider.value = index;
    slider.setAttribute('aria-valuetext', spoken.join('; '));
  }
  function nearest(event) {
    var box = svg.getBoundingClientRect(), view = svg.viewBox.baseVal;
    var x = (event.clientX - box.left) / box.width * view.width;
    var value = low + (x - left) / (right - left) * (high - low), best = 0;
    places.forEach(function (place, i) {
      if (Math.abs(place - value) < Math.abs(places[best] - value)) best = i;
    });
    return best;
  }
  slider.max = places.length - 1;
  slider.addEventListener('input', function () { show(Number(slider.value)); });
  svg.addEventListener('pointermove', function (event) { show(nearest(event)); });
  svg.addEventListener('pointerdown', function (event) { show(nearest(event)); });
  panel.hidden = false;
  show(0);
});
)js";
}

}  // namespace smoothcert::report
