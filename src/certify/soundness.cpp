// The three soundness classes and their words.
#include "smoothcert/soundness.hpp"

#include "smoothcert/error.hpp"

namespace smoothcert {

Soundness soundness_of(NoiseLaw noise, Mode mode) {
  if (!noise_traits(noise).integer) return Soundness::real_arithmetic;
  return mode == Mode::external ? Soundness::independent_rows : Soundness::as_executed;
}

std::string_view soundness_text(Soundness soundness) {
  switch (soundness) {
    case Soundness::as_executed:
      return "sound as executed";
    case Soundness::independent_rows:
      return "sound if rows are independent";
    case Soundness::real_arithmetic:
      return "in real arithmetic only";
  }
  throw Error("unknown soundness class");
}

std::string guarantee_text(NoiseLaw noise, Mode mode) {
  const NoiseTraits& traits = noise_traits(noise);
  std::string text;
  if (traits.kind == CertificateKind::exact) text = "exact ";
  if (traits.norm == Norm::l1) text += "in L1, ";  // L2 is what the field means by a radius
  text += soundness_text(soundness_of(noise, mode));
  if (mode == Mode::fast) text += "; fast mode: of the classifier as its device computes it";
  return text;
}

}  // namespace smoothcert
