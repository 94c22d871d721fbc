// What a radius is a statement about: the program as it runs, or the mathematics it stands for.
#pragma once

#include <string>
#include <string_view>

#include "smoothcert/names.hpp"
#include "smoothcert/noise.hpp"
#include "smoothcert/votes.hpp"

namespace smoothcert {

/// Every place that prints, lists, names or exports a radius says which of these it is.
enum class Soundness {
  as_executed,       ///< integer noise, our own forward pass: holds for the program as it ran
  independent_rows,  ///< integer noise, a caller's forward pass: holds where a sample's answer does
                     ///< not depend on the samples it shares a batch with
  real_arithmetic,  ///< continuous noise: x + σε leaks x in floating point, so the guarantee is one
                    ///< about real numbers only (Voráček and Hein, ICLR 2023)
};
template <>
struct Names<Soundness> {  // as files and columns name them
  static constexpr const char* kWhat = "soundness class";
  static constexpr NamedValue<Soundness> kValues[] = {{Soundness::as_executed, "executed"},
                                                      {Soundness::independent_rows, "rows"},
                                                      {Soundness::real_arithmetic, "real"}};
};

Soundness soundness_of(NoiseLaw noise, Mode mode);

/// The words for people: "sound as executed", "sound if rows are independent", "in real arithmetic
/// only".
std::string_view soundness_text(Soundness soundness);

/// The same for the radii of a run, which in fast mode are those of another base classifier: "sound
/// as executed; fast mode: of the classifier as its device computes it". Of radii that are not in
/// L2, and of those that are certain, the words begin with that: "exact in L1, sound as executed".
std::string guarantee_text(NoiseLaw noise, Mode mode);

}  // namespace smoothcert
