"""Whether a context model that is trained on other pictures serves a picture: the test before one ships."""
