smoothcert_sources(SMOOTHCERT_TRAIN_SOURCES
  epoch_order.cpp
  recipe_json.cpp
  recipes.cpp
  train.cpp
  training_state.cpp)
