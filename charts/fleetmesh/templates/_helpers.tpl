{{/* Names, labels and what both workloads have in common. */}}

{{- define "fleetmesh.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{/* At most 40 characters, so that a suffix fits into the 63 of a DNS label. */}}
{{- define "fleetmesh.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "fleetmesh.operator" -}}{{ include "fleetmesh.fullname" . }}-operator{{- end }}
{{- define "fleetmesh.controlPlane" -}}{{ include "fleetmesh.fullname" . }}-control-plane{{- end }}

{{- define "fleetmesh.provision" -}}{{ include "fleetmesh.fullname" . }}-provision{{- end }}

{{/* Annotations of what makes the Secrets: before everything else, in the order of the weight it is called with, and gone
afterwards. Argo CD runs it as PreSync. */}}
{{- define "fleetmesh.provision.hook" -}}
helm.sh/hook: pre-install,pre-upgrade,pre-rollback
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{- define "fleetmesh.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: fleetmesh
{{- end }}

{{/* What never changes of a workload's labels; call it with (list $ "operator"). */}}
{{- define "fleetmesh.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "fleetmesh.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "fleetmesh.operator.serviceAccount" -}}
{{- default (include "fleetmesh.operator" .) .Values.operator.serviceAccount.name -}}
{{- end }}

{{- define "fleetmesh.controlPlane.serviceAccount" -}}
{{- default (include "fleetmesh.controlPlane" .) .Values.controlPlane.serviceAccount.name -}}
{{- end }}

{{- define "fleetmesh.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ default $.Chart.AppVersion .tag }}{{- end -}}
{{- end -}}
{{- end }}

{{/* The Secret of the authority: tls.crt and tls.key. */}}
{{- define "fleetmesh.caSecret" -}}
{{- if eq .Values.certificates.mode "existing" -}}
{{- required "certificates.existing.caSecret is empty: with certificates.mode existing it names the Secret of the authority" .Values.certificates.existing.caSecret -}}
{{- else -}}
{{- include "fleetmesh.fullname" . }}-ca
{{- end -}}
{{- end }}

{{/* The Secret of the control plane's own certificate: tls.crt, tls.key and ca.crt. */}}
{{- define "fleetmesh.serverSecret" -}}
{{- if eq .Values.certificates.mode "existing" -}}
{{- required "certificates.existing.serverSecret is empty: with certificates.mode existing it names the Secret of the control plane's certificate" .Values.certificates.existing.serverSecret -}}
{{- else -}}
{{- include "fleetmesh.controlPlane" . }}-tls
{{- end -}}
{{- end }}

{{- define "fleetmesh.accessKeySecret" -}}
{{- default (printf "%s-access-key" (include "fleetmesh.fullname" .)) .Values.accessKey.existingSecret -}}
{{- end }}

{{- define "fleetmesh.isAddress" -}}
{{- if or (regexMatch "^[0-9]+\\.[0-9]+\\.[0-9]+\\.[0-9]+$" .) (contains ":" .) -}}true{{- end -}}
{{- end }}

{{/* The DNS names of the control plane, a comma between each. */}}
{{- define "fleetmesh.dnsNames" -}}
{{- $service := include "fleetmesh.controlPlane" . -}}
{{- $inNamespace := printf "%s.%s" $service .Release.Namespace -}}
{{- $names := list $service $inNamespace (printf "%s.svc" $inNamespace) (printf "%s.svc.%s" $inNamespace .Values.certificates.clusterDomain) "localhost" -}}
{{- $host := .Values.controlPlane.ads.host -}}
{{- if and $host (not (include "fleetmesh.isAddress" $host)) -}}{{- $names = append $names $host -}}{{- end -}}
{{- concat $names .Values.certificates.extraDnsNames | uniq | join "," -}}
{{- end }}

{{/* The addresses of the control plane, a comma between each: loopback, for `kubectl port-forward`. */}}
{{- define "fleetmesh.addresses" -}}
{{- $host := .Values.controlPlane.ads.host -}}
127.0.0.1{{ if and $host (include "fleetmesh.isAddress" $host) }},{{ $host }}{{ end }}
{{- end }}

{{/* The address of the App Mesh API that the operator speaks to. */}}
{{- define "fleetmesh.endpoint" -}}
{{- if .Values.operator.appMesh.endpoint -}}
{{- .Values.operator.appMesh.endpoint -}}
{{- else if .Values.controlPlane.enabled -}}
https://{{ include "fleetmesh.controlPlane" . }}.{{ .Release.Namespace }}.svc:{{ .Values.controlPlane.api.port }}
{{- else -}}
{{- fail "operator.appMesh.endpoint is empty and controlPlane.enabled is false: the operator needs one of them" -}}
{{- end -}}
{{- end }}

{{/* The Secret whose ca.crt the operator verifies its endpoint with; empty for the system's own authorities. */}}
{{- define "fleetmesh.endpointCaSecret" -}}
{{- if .Values.operator.appMesh.endpoint -}}
{{- .Values.operator.appMesh.caSecret -}}
{{- else -}}
{{- include "fleetmesh.serverSecret" . -}}
{{- end -}}
{{- end }}

{{/* controlPlane.ads.host in an address. */}}
{{- define "fleetmesh.instancesHost" -}}
{{- $host := required "controlPlane.ads.host is empty: with operator.proxyJoin.image instances have to know where the control plane is" .Values.controlPlane.ads.host -}}
{{- if contains ":" $host -}}[{{ $host }}]{{- else -}}{{ $host }}{{- end -}}
{{- end }}

{{/* Where the proxies of launched instances find the control plane; empty when nobody said. */}}
{{- define "fleetmesh.proxyControlPlane" -}}
{{- if .Values.operator.proxyControlPlane -}}
{{- .Values.operator.proxyControlPlane -}}
{{- else if .Values.operator.proxyJoin.image -}}
https://{{ include "fleetmesh.instancesHost" . }}:{{ .Values.controlPlane.ads.port }}
{{- end -}}
{{- end }}

{{/* Where launched instances ask for certificates. */}}
{{- define "fleetmesh.joinControlPlane" -}}
{{- if .Values.operator.proxyJoin.controlPlane -}}
{{- .Values.operator.proxyJoin.controlPlane -}}
{{- else if and .Values.controlPlane.enabled .Values.controlPlane.join.enabled -}}
https://{{ include "fleetmesh.instancesHost" . }}:{{ .Values.controlPlane.join.port }}
{{- else -}}
{{- fail "operator.proxyJoin.image is set and controlPlane.join.enabled is not: no control plane of this release lets instances join" -}}
{{- end -}}
{{- end }}

{{/* The Secret whose ca.crt they verify it with; empty for what their image trusts. */}}
{{- define "fleetmesh.joinCaSecret" -}}
{{- with .Values.operator.proxyJoin -}}
{{- if and .image .caSecret -}}
{{- .caSecret -}}
{{- else if and .image (not .controlPlane) -}}
{{- include "fleetmesh.serverSecret" $ -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The volume of a file that {kind, name, key} names; nothing without a name. Call it with (list VOLUME VALUES PATH). */}}
{{- define "fleetmesh.fileVolume" -}}
{{- $path := index . 2 -}}
{{- $volume := index . 0 -}}
{{- with index . 1 -}}
{{- if .name -}}
- name: {{ $volume }}
  {{ if eq .kind "Secret" }}secret:
    secretName: {{ .name }}{{ else }}configMap:
    name: {{ .name }}{{ end }}
    defaultMode: 0440
    items:
      - key: {{ .key }}
        path: {{ $path }}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "fleetmesh.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "fleetmesh.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Where and beside whom Pods run; call it with (list $ "operator" .Values.operator). */}}
{{- define "fleetmesh.scheduling" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- with index . 2 -}}
{{- with .topologySpreadConstraints }}
topologySpreadConstraints:
{{- range . }}
- {{ toYaml . | nindent 2 | trim }}
  labelSelector:
    matchLabels: {{- include "fleetmesh.selector" (list $root $component) | nindent 6 }}
{{- end }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/* Annotations of a ServiceAccount; call it with .Values.operator or .Values.controlPlane. */}}
{{- define "fleetmesh.serviceAccountAnnotations" -}}
{{- $annotations := deepCopy .serviceAccount.annotations -}}
{{- with .roleArn }}{{- $_ := set $annotations "eks.amazonaws.com/role-arn" . }}{{- end -}}
{{- with $annotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
