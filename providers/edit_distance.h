// How far a misspelling is from the word meant.
#ifndef SENDSTEP_PROVIDERS_EDIT_DISTANCE_H_
#define SENDSTEP_PROVIDERS_EDIT_DISTANCE_H_

#include <algorithm>
#include <string_view>
#include <vector>

namespace sendstep::providers {

// Bytes to insert, delete, replace or swap with their neighbour. Quadratic: for short words.
inline size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    before.swap(above);
    above.swap(row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
  }
  return row[b.size()];
}

}  // namespace sendstep::providers

#endif  // SENDSTEP_PROVIDERS_EDIT_DISTANCE_H_
