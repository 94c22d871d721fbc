smoothcert_sources(SMOOTHCERT_MPI_SOURCES
  messages.cpp
  mpi_ranks.cpp
  ranks.cpp
  spread.cpp)
