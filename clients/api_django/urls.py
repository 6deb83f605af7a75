"""The paths of the sample API."""

from django.urls import path
from views import Experiment, Healthz, Notes, Whoami

from authserver_verifier.django import metadata_urls

urlpatterns = [
    path("healthz", Healthz.as_view()),
    path("whoami", Whoami.as_view()),
    path("notes", Notes.as_view()),
    path("experiment", Experiment.as_view()),
    *metadata_urls(),
]
