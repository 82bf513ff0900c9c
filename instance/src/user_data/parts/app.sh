start_application() {
  docker run --detach --name fleetmesh-app --restart unless-stopped --network host --log-driver local "$app_image"
}
