// What a report rests on and cites, and the files that lie beside it.
#include "report/references.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "report/escape.hpp"

namespace smoothcert::report {
namespace {

struct Reference {
  const char* text;
  const char* address;
};

constexpr Reference kStudy{
    "The study: a PyTorch course project on robustness (normal, adversarial and "
    "randomized-smoothing "
    "training of one CNN on MNIST); github.com/xinyuejohn/Robustness has the same protocol and one "
    "checkpoint.",
    "https://github.com/xinyuejohn/Robustness"};

constexpr Reference kPapers[] = {
    {"Cohen, Rosenfeld, Kolter: Certified Adversarial Robustness via Randomized Smoothing. ICML "
     "2019, "
     "arXiv 1902.02918. (CERTIFY, PREDICT, the radius.)",
     "https://arxiv.org/abs/1902.02918"},
    {"Voráček, Hein: Sound Randomized Smoothing in Floating-Point Arithmetic. ICLR 2023, arXiv "
     "2207.07209. (Why noise is drawn on the pixel lattice.)",
     "https://arxiv.org/abs/2207.07209"},
    {"Goodfellow, Shlens, Szegedy: Explaining and Harnessing Adversarial Examples. ICLR 2015, "
     "arXiv "
     "1412.6572. (One-step attacks.)",
     "https://arxiv.org/abs/1412.6572"},
    {"Madry, Makelov, Schmidt, Tsipras, Vladu: Towards Deep Learning Models Resistant to "
     "Adversarial "
     "Attacks. ICLR 2018, arXiv 1706.06083. (PGD.)",
     "https://arxiv.org/abs/1706.06083"},
    {"Jia, Cao, Wang, Gong: Certified Robustness for Top-k Predictions against Adversarial "
     "Perturbations via Randomized Smoothing. ICLR 2020, arXiv 1912.09899. (Top-k radii.)",
     "https://arxiv.org/abs/1912.09899"},
    {"Salman, Yang, Li, Zhang, Zhang, Razenshteyn, Bubeck: Provably Robust Deep Learning via "
     "Adversarially Trained Smoothed Classifiers. NeurIPS 2019, arXiv 1906.04584. (The attack on a "
     "smoothed classifier that looks for disproofs.)",
     "https://arxiv.org/abs/1906.04584"},
    {"Levine, Feizi: Improved, Deterministic Smoothing for L1 Certified Robustness. ICML 2021, "
     "arXiv 2103.10834. (Splitting noise.)",
     "https://arxiv.org/abs/2103.10834"},
    {"Sun, Mao, Müller, Vechev: Average Certified Radius is a Poor Metric for Randomized "
     "Smoothing. "
     "2024, arXiv 2410.06895. (What ACR rewards; the distribution of p_A instead.)",
     "https://arxiv.org/abs/2410.06895"},
    {"McNemar, Psychometrika 12, 1947 (pairs at a radius); Phipson and Smyth, Statistical "
     "Applications "
     "in Genetics and Molecular Biology 9, 2010 (p-values of permutations); Holm, Scandinavian "
     "Journal "
     "of Statistics 6, 1979 (several comparisons).",
     ""},
};

std::string item(const Reference& reference) {
  if (std::string_view(reference.address).empty())
    return fmt::format("<li>{}</li>\n", xml(reference.text));
  return fmt::format("<li>{} <a href=\"{}\">{}</a></li>\n", xml(reference.text),
                     xml(reference.address), xml(std::string_view(reference.address).substr(8)));
}

bool is_figure(const std::filesystem::path& file) {
  const auto ending = file.extension();
  return ending == ".svg" || ending == ".png" || ending == ".pdf";
}

}  // namespace

std::string study_citation() { return kStudy.text; }

void references_section(Page& page, bool study) {
  page.heading("What this rests on", "references");
  std::string list = "<ol class=\"references\">\n";
  if (study) list += item(kStudy);
  for (const Reference& reference : kPapers) list += item(reference);
  page.raw(list + "</ol>\n");
}

std::string relative_link(const std::filesystem::path& file, const std::filesystem::path& folder) {
  std::error_code failure;
  const auto absolute = std::filesystem::absolute(file, failure).lexically_normal();
  const auto base = std::filesystem::absolute(folder, failure).lexically_normal();
  const std::string path = absolute.lexically_proximate(base).generic_string();
  std::string out;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                       (byte >= '0' && byte <= '9') ||
                       std::string_view("-._~/").find(c) != std::string_view::npos;
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", byte);
  }
  // A first part with a colon would read as a scheme; colons are encoded above.
  return out;
}

void files_section(Page& page, const ReportFiles& files) {
  const auto folder = files.html.parent_path();
  const auto link = [&](const std::filesystem::path& file, const std::string& text) {
    return fmt::format("<a href=\"{}\">{}</a>", xml(relative_link(file, folder)), xml(text));
  };
  page.heading("Files", "files");
  std::string html = "<dl class=\"files\">\n";
  const auto entry = [&](const char* term, const std::string& links) {
    if (!links.empty()) html += fmt::format("<dt>{}</dt><dd>{}</dd>\n", term, links);
  };
  std::string stores, tsv, csv, json, panels;
  std::vector<std::pair<std::string, std::string>> figures;  // stem, links
  for (const auto& file : files.data) {
    const auto ending = file.extension();
    std::string& list = ending == ".sqlite" ? stores
                        : ending == ".tsv"  ? tsv
                        : ending == ".json" ? json
                                            : csv;
    list += (list.empty() ? "" : ", ") + link(file, file.filename().string());
  }
  for (const auto& file : files.figures) {
    if (!is_figure(file)) continue;
    const std::string stem = file.stem().string();
    const std::string kind = file.extension().string().substr(1);
    if (figures.empty() || figures.back().first != stem) figures.emplace_back(stem, "");
    figures.back().second += " " + link(file, kind);
  }
  entry("Results store, with every vote (SQLite)", stores);
  entry("Certificates, the field’s format (TSV)", tsv);
  entry("Tables (CSV)", csv);
  entry("Summary (JSON)", json);
  html += "</dl>\n";
  if (!figures.empty()) {
    html += "<details><summary>Figures as files</summary><ul class=\"figures\">\n";
    for (const auto& [stem, links] : figures)
      html += fmt::format("<li>{}:{}</li>\n", xml(stem), links);
    html += "</ul></details>\n";
  }
  page.raw(html);
}

}  // namespace smoothcert::report
