// The confusion matrix of two label maps and the paper's four metrics, as fcn_from_scratch/metrics.py computes them.
// tests/site/test_play.py holds the two equal.

/** matrix[i][j]: pixels of true class i that were predicted as class j. Void pixels of the truth are left out. */
export function confusion(truth, prediction, classes, void_) {
  const matrix = Array.from({ length: classes }, () => new Array(classes).fill(0));
  truth.forEach((row, y) =>
    row.forEach((label, x) => {
      if (label !== void_) matrix[label][prediction[y][x]] += 1;
    }),
  );
  return matrix;
}

/** The four metrics and the IU of each class. NaN stands for 0/0, and means leave it out. */
export function metrics(matrix) {
  const hits = matrix.map((row, i) => row[i]);
  const truth = matrix.map(total);
  const predicted = matrix.map((_, j) => total(matrix.map(row => row[j])));
  const all = total(truth);
  const iu = hits.map((hit, i) => hit / (truth[i] + predicted[i] - hit));
  const present = truth.map(count => count > 0);
  return {
    iu,
    pixel_accuracy: total(hits) / all,
    mean_accuracy: mean(hits.map((hit, i) => hit / truth[i]).filter((_, i) => present[i])),
    mean_iu: mean(iu.filter(value => !Number.isNaN(value))),
    frequency_weighted_iu: all ? total(iu.map((value, i) => (present[i] ? (truth[i] / all) * value : 0))) : NaN,
  };
}

function total(numbers) {
  return numbers.reduce((sum, number) => sum + number, 0);
}

function mean(numbers) {
  return total(numbers) / numbers.length;
}
