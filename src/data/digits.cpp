// `digits`: handwritten-looking digits drawn by the program, for machines that cannot get MNIST.
#include "data/digits.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "data/digit_glyphs.hpp"
#include "data/labelled.hpp"
#include "smoothcert/device/philox.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

constexpr int kSide = 28;
constexpr int kClasses = 10;
constexpr int kStepsPerSpan = 6;  // straight pieces between two control points

/// The random numbers of one image, in order.
class Stream {
 public:
  Stream(std::uint64_t seed, std::uint32_t split, std::uint32_t image)
      : seed_(seed), split_(split), image_(image) {}
  /// In [0, 1).
  float uniform() {
    if (next_ == 4) {
      words_ = device::philox_at(seed_, static_cast<std::uint32_t>(Purpose::draw_digits), image_,
                                 split_, group_++);
      next_ = 0;
    }
    return device::uniform01(words_.v[next_++]);
  }
  float between(float low, float high) { return low + (high - low) * uniform(); }
  /// Bell-shaped, mean 0, standard deviation `deviation`, never beyond 3.5 of them.
  float bell(float deviation) {
    const float sum = ((uniform() + uniform()) + (uniform() + uniform())) - 2.0f;  // variance 1/3
    return sum * 1.7320508f * deviation;
  }
  int below(int count) { return static_cast<int>(uniform() * static_cast<float>(count)); }

 private:
  std::uint64_t seed_;
  std::uint32_t split_, image_, group_ = 0;
  int next_ = 4;
  device::PhiloxWords words_{};
};

struct Segment {
  GlyphPoint a, b;
  float radius;
};

/// A smooth random displacement of the unit square: cubic B-splines over a grid of 5 × 5 knots.
class Elastic {
 public:
  Elastic(Stream& random, float strength) {
    for (GlyphPoint& knot : knots_) knot = {random.bell(strength), random.bell(strength)};
  }
  [[nodiscard]] GlyphPoint operator()(GlyphPoint p) const {
    const auto [column, wx] = weights(p.x);
    const auto [row, wy] = weights(p.y);
    GlyphPoint moved = p;
    for (int i = 0; i < 4; ++i) {
      for (int j = 0; j < 4; ++j) {
        const GlyphPoint& knot = knots_[(row + i) * kKnots + column + j];
        moved.x += wy[i] * wx[j] * knot.x;
        moved.y += wy[i] * wx[j] * knot.y;
      }
    }
    return moved;
  }

 private:
  static constexpr int kKnots = 5;
  static std::pair<int, std::array<float, 4>> weights(float at) {
    const float scaled = std::clamp(at, 0.0f, 1.0f) * (kKnots - 3);
    const int first = std::min(static_cast<int>(scaled), kKnots - 4);
    const float t = scaled - static_cast<float>(first), s = 1.0f - t;
    const float t2 = t * t, t3 = t2 * t;
    return {first,
            {s * s * s / 6.0f, (3.0f * t3 - 6.0f * t2 + 4.0f) / 6.0f,
             (-3.0f * t3 + 3.0f * t2 + 3.0f * t + 1.0f) / 6.0f, t3 / 6.0f}};
  }
  std::array<GlyphPoint, kKnots * kKnots> knots_;
};

/// Slant, stretch and turn about the middle.
class Affine {
 public:
  explicit Affine(Stream& random) {
    const float stretch = random.between(0.78f, 1.18f);
    const float slant = 0.12f + random.bell(0.16f);  // most hands lean to the right
    const float half = random.bell(0.055f);          // tangent of half the angle: no sine needed
    const float norm = 1.0f / (1.0f + half * half);
    const float cosine = (1.0f - half * half) * norm, sine = 2.0f * half * norm;
    xx_ = cosine * stretch;
    xy_ = -(cosine * slant) - sine;
    yx_ = sine * stretch;
    yy_ = cosine - sine * slant;
  }
  [[nodiscard]] GlyphPoint operator()(GlyphPoint p) const {
    const float x = p.x - 0.5f, y = p.y - 0.5f;
    return {xx_ * x + xy_ * y, yx_ * x + yy_ * y};
  }

 private:
  float xx_, xy_, yx_, yy_;
};

/// The point at t in [0, 1] between p1 and p2 (Catmull–Rom).
GlyphPoint spline(GlyphPoint p0, GlyphPoint p1, GlyphPoint p2, GlyphPoint p3, float t) {
  const auto one = [t](float a, float b, float c, float d) {
    return b + 0.5f * t *
                   ((c - a) +
                    t * ((2.0f * a - 5.0f * b + 4.0f * c - d) + t * (3.0f * (b - c) + (d - a))));
  };
  return {one(p0.x, p1.x, p2.x, p3.x), one(p0.y, p1.y, p2.y, p3.y)};
}

/// One way of writing the digit, as short straight pieces about the origin.
std::vector<Segment> write_digit(int digit, Stream& random) {
  const auto ways = glyphs(digit);
  const Glyph glyph = ways[static_cast<std::size_t>(random.below(static_cast<int>(ways.size())))];
  const Elastic elastic(random, random.between(0.03f, 0.09f));
  const Affine affine(random);
  const float unsteady = random.between(0.008f, 0.028f);
  const float pen = random.between(0.042f, 0.082f), pressure = random.bell(0.18f);

  std::vector<Segment> segments;
  GlyphPoint last_end{-1, -1}, last_end_drawn{};
  for (const GlyphStroke stroke : glyph) {
    std::vector<GlyphPoint> points(stroke.begin(), stroke.end());
    for (GlyphPoint& p : points) {
      p.x += random.bell(unsteady);
      p.y += random.bell(unsteady);
    }
    // A stroke that starts where the last one ended keeps the pen on the paper.
    if (stroke.front().x == last_end.x && stroke.front().y == last_end.y)
      points.front() = last_end_drawn;
    last_end = stroke.back();
    last_end_drawn = points.back();

    const int count = static_cast<int>(points.size());
    const auto at = [&](int i) {
      return points[static_cast<std::size_t>(std::clamp(i, 0, count - 1))];
    };
    GlyphPoint from = affine(elastic(points.front()));
    for (int i = 0; i + 1 < count; ++i) {
      for (int step = 1; step <= kStepsPerSpan; ++step) {
        const float t = static_cast<float>(step) / kStepsPerSpan;
        const GlyphPoint to = affine(elastic(spline(at(i - 1), at(i), at(i + 1), at(i + 2), t)));
        const float along = (static_cast<float>(i) + t) / static_cast<float>(count - 1);
        segments.push_back({from, to, pen * (1.0f + pressure * (along - 0.5f))});
        from = to;
      }
    }
  }
  return segments;
}

/// Fits the digit into MNIST's 20 × 20 box, with a little play, in pixels.
void frame(std::vector<Segment>& segments, Stream& random) {
  float left = 1e9f, right = -1e9f, top = 1e9f, bottom = -1e9f;
  for (const Segment& s : segments) {
    left = std::min({left, s.a.x - s.radius, s.b.x - s.radius});
    right = std::max({right, s.a.x + s.radius, s.b.x + s.radius});
    top = std::min({top, s.a.y - s.radius, s.b.y - s.radius});
    bottom = std::max({bottom, s.a.y + s.radius, s.b.y + s.radius});
  }
  const float scale = random.between(18.8f, 20.4f) / std::max(right - left, bottom - top);
  for (Segment& s : segments) {
    for (GlyphPoint* p : {&s.a, &s.b}) {
      p->x = (p->x - 0.5f * (left + right)) * scale;
      p->y = (p->y - 0.5f * (top + bottom)) * scale;
    }
    s.radius *= scale;
  }
  // Centred by mass, taking a piece's length times width for its mass.
  float mass = 0, mx = 0, my = 0;
  for (const Segment& s : segments) {
    const float dx = s.b.x - s.a.x, dy = s.b.y - s.a.y;
    const float m = std::sqrt(dx * dx + dy * dy) * s.radius;
    mass += m;
    mx += m * 0.5f * (s.a.x + s.b.x);
    my += m * 0.5f * (s.a.y + s.b.y);
  }
  // In pixel coordinates, where the middle of the image is 13.5.
  const float x = 13.5f - mx / mass + random.bell(0.4f), y = 13.5f - my / mass + random.bell(0.4f);
  for (Segment& s : segments) {
    s.a = {s.a.x + x, s.a.y + y};
    s.b = {s.b.x + x, s.b.y + y};
  }
}

/// Ink by distance from the pen's path, with an edge one and a half pixels soft.
void ink(const std::vector<Segment>& segments, float darkness, std::uint8_t* image) {
  constexpr float kSoft = 0.75f;
  std::array<float, kSide * kSide> coverage{};
  for (const Segment& s : segments) {
    const float reach = s.radius + kSoft;
    const auto clip = [](float v) { return std::clamp(static_cast<int>(v), 0, kSide - 1); };
    const int x0 = clip(std::min(s.a.x, s.b.x) - reach),
              x1 = clip(std::max(s.a.x, s.b.x) + reach + 1);
    const int y0 = clip(std::min(s.a.y, s.b.y) - reach),
              y1 = clip(std::max(s.a.y, s.b.y) + reach + 1);
    const float dx = s.b.x - s.a.x, dy = s.b.y - s.a.y;
    const float length2 = std::max(dx * dx + dy * dy, 1e-12f);
    for (int y = y0; y <= y1; ++y) {
      for (int x = x0; x <= x1; ++x) {
        const float px = static_cast<float>(x) - s.a.x, py = static_cast<float>(y) - s.a.y;
        const float t = std::clamp((px * dx + py * dy) / length2, 0.0f, 1.0f);
        const float ex = px - t * dx, ey = py - t * dy;
        const float distance = std::sqrt(ex * ex + ey * ey);
        const float c = std::clamp((reach - distance) / (2.0f * kSoft), 0.0f, 1.0f);
        float& here = coverage[static_cast<std::size_t>(y * kSide + x)];
        here = std::max(here, c);
      }
    }
  }
  for (std::size_t i = 0; i < coverage.size(); ++i) {
    const float c = coverage[i];
    image[i] = static_cast<std::uint8_t>(std::min(c * darkness, 1.0f) * 255.0f + 0.5f);
  }
}

Dataset draw_split(std::uint64_t seed, std::uint32_t split, int count) {
  LabelledImages images{1,  kSide,    kSide, static_cast<std::uint64_t>(count),
                        {}, "digits", {},    "digits"};
  images.pixels.resize(static_cast<std::size_t>(count) * kSide * kSide);
  images.labels.resize(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    Stream random(seed, split, static_cast<std::uint32_t>(i));
    const int digit = random.below(kClasses);
    auto segments = write_digit(digit, random);
    frame(segments, random);
    images.labels[static_cast<std::size_t>(i)] = static_cast<Label>(digit);
    ink(segments, random.between(0.95f, 1.25f),
        images.pixels.data() + static_cast<std::size_t>(i) * kSide * kSide);
  }
  Dataset data = labelled(std::move(images), kClasses);
  data.name = "digits";
  data.split = split == 0 ? "train" : "test";
  data.origin = fmt::format("drawn by the program, seed {}", seed);
  return data;
}

}  // namespace

DataPair draw_digits(std::uint64_t seed, int train, int test) {
  if (train < 0 || test < 0 || train + test == 0)
    throw UsageError(
        fmt::format("{} training and {} test digits; expected at least 1", train, test));
  DataPair pair;
  if (train > 0) pair.train = draw_split(seed, 0, train);
  if (test > 0) pair.test = draw_split(seed, 1, test);
  return pair;
}

}  // namespace smoothcert
