smoothcert_sources(SMOOTHCERT_ATTACK_SOURCES
  attack.cpp
  attack_accuracy.cpp
  attack_names.cpp
  attack_steps.cpp
  attack_strength.cpp)
