// Studies of the tests, random and full.
#include "report_support.hpp"

#include <algorithm>
#include <cmath>
#include <random>

namespace smoothcert::testing {
namespace {

using Random = std::mt19937_64;

double uniform(Random& random) { return static_cast<double>(random() >> 11) * 0x1p-53; }

double normal(Random& random) {
  const double u = 1.0 - uniform(random);
  return std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * uniform(random));
}

/// A 28 × 28 digit from a 5 × 7 dot font, slanted and softened.
std::vector<std::uint8_t> digit(int d, Random& random) {
  static const char* kFont[10] = {
      "01110100011001110101110011000101110", "00100011000010000100001000010001110",
      "01110100010000100110010001000011111", "11110000010000101110000011000101110",
      "00010001100101010010111110001000010", "11111100001111000001000011000101110",
      "01110100001000011110100011000101110", "11111000010001000100010000100001000",
      "01110100011000101110100011000101110", "01110100011000101111000010000101110"};
  const double slant = 0.25 * (uniform(random) - 0.3), size = 2.6 + 0.5 * uniform(random);
  std::vector<std::uint8_t> pixels(784);
  for (int y = 0; y < 28; ++y) {
    for (int x = 0; x < 28; ++x) {
      const double v = (y - 13.5) / size + 3.0, u = (x - 13.5 + slant * (y - 13.5)) / size + 2.0;
      double ink = 0;
      for (int j = 0; j < 7; ++j)
        for (int i = 0; i < 5; ++i)
          if (kFont[d][j * 5 + i] == '1')
            ink += std::exp(-2.2 * ((u - i) * (u - i) + (v - j) * (v - j)));
      pixels[static_cast<std::size_t>(y * 28 + x)] =
          static_cast<std::uint8_t>(std::clamp(300.0 * ink - 30.0, 0.0, 255.0));
    }
  }
  return pixels;
}

std::vector<std::uint8_t> noisy(const std::vector<std::uint8_t>& pixels, double spread,
                                Random& random) {
  std::vector<std::uint8_t> out(pixels.size());
  for (std::size_t i = 0; i < pixels.size(); ++i)
    out[i] = static_cast<std::uint8_t>(std::clamp(pixels[i] + spread * normal(random), 0.0, 255.0));
  return out;
}

double quantile(double p) {  // of the standard normal, by bisection
  double low = -10, high = 10;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (0.5 * std::erfc(-middle / std::sqrt(2.0)) < p ? low : high) = middle;
  }
  return low;
}

/// An image whose class A gets a share `p` of n votes, the rest spread over the others.
Certificate certificate(std::uint32_t image, int label, int selected, double p,
                        const CertifySettings& settings, Random& random) {
  Certificate c;
  c.image = image;
  c.label = static_cast<Label>(label);
  c.selected = selected;
  const auto votes = [&](std::uint64_t n) {
    std::vector<std::uint64_t> counts(10);
    counts[static_cast<std::size_t>(selected)] =
        static_cast<std::uint64_t>(p * static_cast<double>(n));
    for (std::uint64_t left = n - counts[static_cast<std::size_t>(selected)]; left > 0;) {
      const std::uint64_t part = std::min<std::uint64_t>(left, 1 + left / 3);
      counts[random() % 10] += part;
      left -= part;
    }
    return counts;
  };
  c.selection.counts = votes(settings.n0);
  c.estimation.counts = votes(settings.n);
  const auto n = static_cast<double>(settings.n);
  const double share =
      static_cast<double>(c.estimation.counts[static_cast<std::size_t>(selected)]) / n;
  c.p_lower = std::max(0.0, std::min(std::pow(settings.alpha, 1 / n),
                                     share - 1.645 * std::sqrt(share * (1 - share) / n)));
  if (c.p_lower > 0.5) {
    c.prediction = selected;
    c.radius = settings.sigma * quantile(c.p_lower);
  }
  c.seconds = 0.01;
  return c;
}

Summary summary_of(const std::vector<Certificate>& certificates) {
  Summary s;
  s.images = certificates.size();
  double all = 0, right = 0, squares = 0;
  for (const Certificate& c : certificates) {
    if (c.prediction < 0) {
      ++s.abstained;
      continue;
    }
    all += c.radius;
    if (c.correct()) {
      ++s.correct_certified;
      right += c.radius;
      squares += c.radius * c.radius;
    } else {
      ++s.wrong;
    }
  }
  const auto count = [](std::uint64_t n) {
    return static_cast<double>(std::max<std::uint64_t>(n, 1));
  };
  s.avg_radius_certified = all / count(s.wrong + s.correct_certified);
  s.avg_radius_correct = right / count(s.correct_certified);
  s.acr = right / count(s.images);
  s.acr_standard_error =
      std::sqrt(std::max(0.0, squares / count(s.images) - s.acr * s.acr) / count(s.images));
  return s;
}

TrainHistory history(std::size_t steps, double start, double end, double best, Random& random) {
  TrainHistory h;
  for (std::size_t i = 0; i < steps; ++i) {
    const double t = static_cast<double>(i) / static_cast<double>(steps);
    const double loss =
        end + (start - end) * std::exp(-7 * t) + 0.09 * normal(random) * (0.4 + end);
    h.step_loss.push_back(static_cast<float>(std::max(0.01, loss)));
    h.step_accuracy.push_back(static_cast<float>(
        std::clamp(0.1 + (best - 0.1) * (1 - std::exp(-8 * t)) + 0.03 * normal(random), 0.0, 1.0)));
  }
  h.epoch_seconds = {12.5};
  return h;
}

AttackReport attack(AttackKind kind, double epsilon, int steps, std::uint64_t images, double ce,
                    double margin, std::uint64_t zero) {
  AttackReport a;
  a.spec.kind = kind;
  a.spec.epsilon = epsilon;
  a.spec.steps = steps;
  a.images = images;
  const auto of = [&](double share) {
    return static_cast<std::uint64_t>(share * static_cast<double>(images));
  };
  a.correct_cross_entropy = of(ce);
  a.correct_margin = of(margin);
  a.correct_worst = of(std::min(ce, margin) * 0.99);
  a.zero_gradient = zero;
  return a;
}

StudyModel model(const std::string& name, const StudyResult& study, Random& random) {
  const bool is_normal = name == "normal", is_adversarial = name == "adversarial";
  StudyModel m;
  m.name = name;
  m.file = "models/" + name + ".safetensors";
  m.hash = std::string(32, is_normal        ? 'a'
                           : is_adversarial ? 'b'
                                            : 'c') +
           "0123456789abcdef0123456789abcdef";
  m.network = "convnn";
  m.parameters = 1580;
  m.record = {.regime = name,
              .recipe = name,
              .sigma = 1,
              .epsilon = 5,
              .epochs = is_adversarial ? 2 : 1,
              .seed = 0,
              .dataset = "mnist",
              .commit = "0.1.0",
              .backend = "cpu"};
  m.history = history(is_adversarial ? 938 : 469, 2.4,
                      is_normal        ? 0.15
                      : is_adversarial ? 0.3
                                       : 0.55,
                      is_normal        ? 0.955
                      : is_adversarial ? 0.9
                                       : 0.84,
                      random);
  m.clean_accuracy = is_normal ? 0.9563 : is_adversarial ? 0.8134 : 0.8741;
  const double one = is_normal ? 0.097 : is_adversarial ? 0.8712 : 0.2134;
  m.attacks = {attack(AttackKind::fgm_l1, 5, 1, 10000, 0.93, 0.92, 0),
               attack(AttackKind::fgm_l1_steepest, 5, 1, 10000, 0.94, 0.935, 0),
               attack(AttackKind::fgm_l2, 5, 1, 10000, one, one * 0.8, is_adversarial ? 12 : 0),
               attack(AttackKind::fgm_linf, 0.3, 1, 10000, one * 0.4, one * 0.3, 0),
               attack(AttackKind::pgd_l2, 5, 20, 10000, 0, 0, 0),
               attack(AttackKind::pgd_linf, 0.3, 20, 10000, 0.001, 0.0005, 0)};
  m.run.model_hash = m.hash;
  m.run.precision = "exact-f32";
  m.run.backend = "cpu exact avx2";
  for (std::uint32_t i = 0; i < study.certified_images; ++i) {
    const int label = static_cast<int>(i % 10);
    const double u = uniform(random);
    int selected = label;
    double p = 0.5 + 0.5 * std::pow(u, 0.45);
    if (is_normal) {
      selected = 8;
      p = 0.95 + 0.05 * std::sqrt(u);
    } else if (is_adversarial) {
      selected = u < 0.35 ? label : 3;
      p = 0.3 + 0.6 * uniform(random);
    } else if (u < 0.12) {
      selected = static_cast<int>((i + 3) % 10);
      p = 0.4 + 0.25 * uniform(random);
    }
    m.certificates.push_back(
        certificate(i, label, selected, std::min(p, 1.0), study.certify, random));
  }
  m.summary = summary_of(m.certificates);
  m.certify_seconds = 42;
  return m;
}

}  // namespace

StudyResult sample_study(std::uint64_t images) {
  Random random(20240607);
  StudyResult s;
  s.title = "MNIST, three ways of training";
  s.program_version = "0.1.0";
  s.arithmetic = "philox-lattice-1/exact-1";
  s.started = "2026-11-24T04:27:45Z";
  s.command = "smoothcert compare --seed 0 --images 500";
  s.device = "cpu, 2 threads, AVX2";
  s.dataset_name = "mnist";
  s.dataset_origin = "/data/mnist";
  s.train_hash = std::string(64, '1');
  s.test_hash = std::string(64, '2');
  s.shape = {1, 28, 28};
  s.classes = 10;
  s.train_images = 60000;
  s.test_images = 10000;
  s.certified_images = images;
  s.subset_note = "every 20th test image, so that the comparison ends within ten minutes";
  s.attacked_images = 10000;
  s.seconds_training = 61;
  s.seconds_attacks = 33;
  s.seconds_certify = 126;
  for (const char* name : {"normal", "adversarial", "smoothing"})
    s.models.push_back(model(name, s, random));

  for (int i = 0; i < 8; ++i) {
    ShowcaseImage image;
    image.image = static_cast<std::uint32_t>(i * 7);
    image.label = static_cast<Label>((i * 7) % 10);
    image.pixels = digit(image.label, random);
    for (const StudyModel& m : s.models) {
      ShowcaseView view;
      view.model = m.name;
      view.prediction = image.label;
      view.l2 = noisy(image.pixels, 45, random);
      view.linf = noisy(image.pixels, 70, random);
      view.l2_prediction = m.name == "normal" ? (image.label + 3) % 10 : image.label;
      view.linf_prediction = (image.label + 5) % 10;
      view.l2_zero_gradient = m.name == "adversarial" && i == 3;
      image.views.push_back(std::move(view));
    }
    s.showcase.push_back(std::move(image));
  }

  NoiseDemonstration demo;
  demo.image = 7;
  demo.label = 7;
  demo.pixels = digit(7, random);
  for (int i = 0; i < 8; ++i) demo.copies.push_back(noisy(demo.pixels, 255, random));
  for (const StudyModel& m : s.models)
    demo.votes.push_back(
        {m.name,
         {7, 8, 7, 7, 8, 7, 2, 7},
         images > 7 ? m.certificates[7] : certificate(7, 7, 7, 0.9, s.certify, random)});
  s.demonstrations.push_back(std::move(demo));
  return s;
}

}  // namespace smoothcert::testing
