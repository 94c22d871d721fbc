// Recipes as JSON, both ways from one list of fields.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "smoothcert/error.hpp"
#include "smoothcert/recipe.hpp"
#include "util/decimal.hpp"
#include "util/json_number.hpp"
#include "util/nearest_name.hpp"

namespace smoothcert {
namespace {

using Json = nlohmann::ordered_json;

/// Calls visit(name, field).
template <class Recipe, class Visit>
void each_field(Recipe& r, Visit&& visit) {
  visit("name", r.name);
  visit("network", r.network);
  visit("regime", r.regime);
  visit("epochs", r.epochs);
  visit("batch_size", r.batch_size);
  visit("optimizer", r.optimizer.kind);
  visit("learning_rate", r.optimizer.learning_rate);
  visit("beta1", r.optimizer.beta1);
  visit("beta2", r.optimizer.beta2);
  visit("eps", r.optimizer.eps);
  visit("momentum", r.optimizer.momentum);
  visit("weight_decay", r.optimizer.weight_decay);
  visit("milestones", r.milestones);
  visit("gamma", r.gamma);
  visit("cosine", r.cosine);
  visit("attack", r.attack.kind);
  visit("attack_loss", r.attack.loss);
  visit("epsilon", r.attack.epsilon);
  visit("attack_steps", r.attack.steps);
  visit("attack_step_size", r.attack.step_size);
  visit("random_start", r.attack.random_start);
  visit("attack_mode", r.attack_mode);
  visit("clean_weight", r.clean_weight);
  visit("mixed_batch", r.mixed_batch);
  visit("attacked_epochs", r.attacked_epochs);
  visit("ramp_epochs", r.ramp_epochs);
  visit("sigma", r.sigma);
  visit("clamp", r.clamp);
  visit("lambda", r.lambda);
}

struct Write {
  Json& json;
  template <class T>
  void operator()(const char* name, const T& field) {
    if constexpr (std::is_enum_v<T>)
      json[name] = to_name(field);
    else
      json[name] = field;
  }
};

struct Read {
  const Json& json;
  const std::string& where;
  std::vector<std::string> known;

  template <class T>
  void operator()(const char* name, T& field) {
    known.emplace_back(name);
    if (!json.contains(name)) return;
    try {
      const Json& value = json.at(name);
      // nlohmann converts freely between numbers and booleans; a recipe should mean what it says.
      if constexpr (std::is_same_v<T, int>) {
        if (!holds_whole<int>(value)) wrong(name, "must be a whole number");
      } else if constexpr (std::is_same_v<T, std::vector<int>>) {
        if (!value.is_array() || !std::all_of(value.begin(), value.end(), holds_whole<int, Json>))
          wrong(name, "must be a list of whole numbers");
      } else if constexpr (std::is_same_v<T, double>) {
        if (value.is_string()) {  // "8/255"
          const auto text = value.get<std::string>();
          const auto real = text.find('/') != text.npos ? parse_real(text) : std::nullopt;
          if (!real) wrong(name, "must be a number, or a fraction as in \"8/255\"");
          field = *real;
          return;
        }
        if (!value.is_number()) wrong(name, "must be a number");
      }
      field = value.get<T>();
    } catch (const nlohmann::json::exception&) {
      wrong(name, "has the wrong type");
    }
  }
  template <class E>
  requires std::is_enum_v<E>
  void operator()(const char* name, E& field) {
    std::string text;
    (*this)(name, text);
    if (!json.contains(name)) return;
    if (const auto value = find_name<E>(text))
      field = *value;
    else
      throw_unknown_name(where, name, text, all_names<E>());
  }
  [[noreturn]] void wrong(const char* name, const char* what) const {
    throw UsageError(where + ": '" + name + "' " + what);
  }
};

}  // namespace

std::string recipe_json(const TrainRecipe& recipe) {
  Json json;
  each_field(recipe, Write{json});
  // Trainings that began before there was a choice go on.
  if (recipe.lambda == 0) json.erase("lambda");
  return json.dump();
}

TrainRecipe parse_recipe(const std::string& text, const std::string& where) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) throw UsageError(where + ": a recipe is a JSON object of its fields");
  std::string base = "normal";
  Read read{json, where, {}};
  read("base", base);
  TrainRecipe recipe;
  try {
    recipe = builtin_recipe(base);
  } catch (const UsageError& e) {
    throw UsageError(where + ": " + e.what());
  }
  each_field(recipe, read);
  for (const auto& [key, value] : json.items())
    if (std::find(read.known.begin(), read.known.end(), key) == read.known.end())
      throw UsageError(where + ": " + unknown_name_message("field", key, read.known));
  try {
    validate(recipe);
  } catch (const UsageError& e) {
    throw UsageError(where + ": " + e.what());
  }
  return recipe;
}

}  // namespace smoothcert
