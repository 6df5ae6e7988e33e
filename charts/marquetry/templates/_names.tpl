{{- define "marquetry.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := .Values.fullnameOverride -}}
{{- if not $full -}}
{{- $full = ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- end -}}
{{- /* A Service's name has no dots, and many a Kubernetes takes none that begins with a digit. */ -}}
{{- if regexMatch "^[0-9]" $full -}}
{{- fail (printf "objects cannot be called %s, since names of Services begin with a letter: set fullnameOverride" $full) -}}
{{- end -}}
{{- $full | replace "." "-" | trunc 30 | trimSuffix "-" -}}
{{- end }}

{{- define "marquetry.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "marquetry.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{/* What selects all pods of a release. */}}
{{- define "marquetry.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* One map of several, as YAML: of what two of them say, the later one's counts. */}}
{{- define "marquetry.merged" -}}
{{- $all := dict -}}
{{- range . -}}
{{- range $key, $value := . -}}
{{- $_ := set $all $key $value -}}
{{- end -}}
{{- end -}}
{{- toYaml $all -}}
{{- end }}

{{/* What a container asks for; `null` takes back what a default says. */}}
{{- define "marquetry.resources" -}}
{{- $all := dict -}}
{{- range $kind, $said := . -}}
{{- if kindIs "map" $said -}}
{{- range $name, $amount := $said -}}
{{- if kindIs "invalid" $amount }}{{ $said = omit $said $name }}{{ end -}}
{{- end -}}
{{- end -}}
{{- if $said }}{{ $_ := set $all $kind $said }}{{ end -}}
{{- end -}}
{{- toYaml $all -}}
{{- end }}

{{/* Labels of every object: (dict "root" $ "component" NAME "more" LIST OF MAPS). */}}
{{- define "marquetry.labels" -}}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/version" .root.Chart.AppVersion
  "app.kubernetes.io/part-of" "marquetry" -}}
{{- $fixed := include "marquetry.selectorLabels" .root | fromYaml -}}
{{- $_ := set $fixed "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- with .component }}{{ $_ := set $fixed "app.kubernetes.io/component" . }}{{ end -}}
{{- include "marquetry.merged" (concat (list $own .root.Values.commonLabels) (default list .more) (list $fixed)) -}}
{{- end }}

{{/* What Kueue looks at. */}}
{{- define "marquetry.queueLabel" -}}
{{- with .queueName }}
kueue.x-k8s.io/queue-name: {{ . | quote }}
{{- end }}
{{- end }}

{{/*
The release's image, with what a role says of its own: (list IMAGE OWN). Where a role names a tag, the release's digest,
which is of another image, does not count.
*/}}
{{- define "marquetry.imageOf" -}}
{{- $image := deepCopy (first .) -}}
{{- $own := last . -}}
{{- if and $own.tag (not $own.digest) }}{{ $_ := unset $image "digest" }}{{ end -}}
{{- mergeOverwrite $image $own | toYaml -}}
{{- end }}

{{/* An image: (dict "root" $ "image" VALUES). A digest counts before a tag. */}}
{{- define "marquetry.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (default .root.Chart.AppVersion .image.tag) -}}
{{- end -}}
{{- end }}
