"""Results for people and for programs: terminal tables, JSON, the reference of the losses."""
