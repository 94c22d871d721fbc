// Small 8-bit images as PNG: one at a time for the page, in labelled-by-caption panels for
// figures/.
#include "report/image_panel.hpp"

#include <png.h>

#include <algorithm>

#include "smoothcert/error.hpp"

namespace smoothcert::report {
namespace {

/// Interleaved 8-bit canvas.
struct Canvas {
  std::size_t width, height, channels;
  std::vector<std::uint8_t> bytes;
};

void draw(Canvas& canvas, std::span<const std::uint8_t> pixels, const ImageShape& shape, int scale,
          std::size_t left, std::size_t top) {
  if (pixels.size() != shape.size())
    throw Error("report: an image has " + std::to_string(pixels.size()) + " values, its shape " +
                std::to_string(shape.size()));
  const auto height = static_cast<std::size_t>(shape.height);
  const auto width = static_cast<std::size_t>(shape.width);
  const auto zoom = static_cast<std::size_t>(scale);
  for (std::size_t y = 0; y < height * zoom; ++y)
    for (std::size_t x = 0; x < width * zoom; ++x)
      for (std::size_t c = 0; c < canvas.channels; ++c)
        canvas.bytes[((top + y) * canvas.width + left + x) * canvas.channels + c] =
            pixels[(c * height + y / zoom) * width + x / zoom];
}

std::vector<std::uint8_t> encode(const Canvas& canvas) {
  png_image header{};
  header.version = PNG_IMAGE_VERSION;
  header.width = static_cast<png_uint_32>(canvas.width);
  header.height = static_cast<png_uint_32>(canvas.height);
  header.format = canvas.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(header);
  std::vector<std::uint8_t> out(size);
  if (!png_image_write_to_memory(&header, out.data(), &size, 0, canvas.bytes.data(), 0, nullptr))
    throw Error(std::string("report: cannot encode a PNG: ") + header.message);
  out.resize(size);
  return out;
}

}  // namespace

std::vector<std::uint8_t> png(std::span<const std::uint8_t> pixels, const ImageShape& shape,
                              int scale) {
  const std::vector<std::uint8_t> image(pixels.begin(), pixels.end());
  return png_panel(std::span(&image, 1), 1, shape, scale, 0);
}

std::vector<std::uint8_t> png_panel(std::span<const std::vector<std::uint8_t>> images, int columns,
                                    const ImageShape& shape, int scale, int gap) {
  if (shape.size() == 0 || images.empty() || columns < 1 || scale < 1)
    throw Error("report: a panel needs images of a known shape");
  const auto across = std::min(static_cast<std::size_t>(columns), images.size());
  const std::size_t down = (images.size() + across - 1) / across;
  const std::size_t cell_width = static_cast<std::size_t>(shape.width * scale);
  const std::size_t cell_height = static_cast<std::size_t>(shape.height * scale);
  const auto space = static_cast<std::size_t>(gap);
  Canvas canvas{across * (cell_width + space) - space,
                down * (cell_height + space) - space,
                shape.channels == 3 ? std::size_t{3} : std::size_t{1},
                {}};
  canvas.bytes.assign(canvas.width * canvas.height * canvas.channels, 255);
  for (std::size_t i = 0; i < images.size(); ++i)
    if (!images[i].empty())
      draw(canvas, images[i], shape, scale, i % across * (cell_width + space),
           i / across * (cell_height + space));
  return encode(canvas);
}

std::string data_uri(std::span<const std::uint8_t> bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out = "data:image/png;base64,";
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t word = 0;
    for (std::size_t k = 0; k < 3; ++k) word = word << 8 | (k < left ? bytes[i + k] : 0u);
    for (std::size_t k = 0; k < 4; ++k) out += k <= left ? kDigits[word >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

}  // namespace smoothcert::report
